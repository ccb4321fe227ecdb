#include "client/commands/import_place.hpp"

#include <algorithm>
#include <vector>

#include "client/door/key_store.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/names.hpp"

namespace oneknock {
namespace {

struct Present {
    std::string name;
    StoredKey key;
};

bool is_same(const KeyFile& one, const KeyFile& other) {
    return one.door.id == other.door.id && one.client.name == other.client.name;
}

// Files that cannot be read are not looked at: none of them is overwritten either.
std::vector<Present> find_same(const KeyFile& key, const std::string& folder) {
    std::vector<Present> found;
    for (const std::string& name : names_in(folder)) {
        if (!is_door_name(name)) continue;
        auto stored = read_stored_key(DoorFiles(folder, name).key);
        if (stored && is_same(clear_part(*stored), key)) found.push_back({name, *std::move(stored)});
    }
    return found;
}

tl::unexpected<Error> keep(const std::string& path, const std::string& why) {
    return fail(ExitCode::cannot_create, printable(path) + ": " + why);
}

std::pair<std::uint32_t, std::uint32_t> generations(const KeyFile& key) {
    return {key.door.generation, key.client.generation};
}

bool have_same_secrets(const KeyFile& one, const KeyFile& other) {
    return one.client.secret.equals(other.client.secret) && one.door.secret.equals(other.door.secret);
}

// Of a locked key that is seen only once it is unlocked: one that nobody unlocks is taken for another.
bool is_equal(const StoredKey& stored, const std::string& path, const KeyFile& key, std::optional<int> key_fd) {
    if (generations(clear_part(stored)) != generations(key)) return false;
    if (!is_encrypted(stored)) return have_same_secrets(std::get<KeyFile>(stored), key);
    const auto unlocked = unlock_key(std::get<EncryptedKey>(stored), path, key_fd);
    if (!unlocked) log::warning(unlocked.error().message);
    return unlocked && have_same_secrets(*unlocked, key);
}

Result<void> check_is_newer(const KeyFile& key, const KeyFile& present, const std::string& path) {
    if (generations(key) == generations(present))
        return keep(path, "already has a key of this generation; nothing was changed");
    if (key.door.generation < present.door.generation || key.client.generation < present.client.generation)
        return keep(path,
                    "has a newer generation than the file to import; not overwritten. If you want the older one, "
                    "remove the newer one first");
    return {};
}

// The door's own name, or that and a number: one that is not taken.
std::string free_name(const std::string& folder, const std::string& name) {
    std::string free = name;
    for (int number = 2; !is_door_name(free) || is_there(DoorFiles(folder, free).key); ++number) {
        const std::string end = "-" + std::to_string(number);
        free = (name.ends_with(".json") ? name.substr(0, name.size() - 5) : name).substr(0, longest_name - end.size());
        free += end;
    }
    return free;
}

Result<ImportPlace> new_place(const KeyFile& key, const std::string& folder, const std::optional<std::string>& as) {
    const std::string name = as.value_or(key.door.name);
    const std::string instead = "import this one under another name: --as " + free_name(folder, name);
    if (!is_door_name(name))
        return fail(ExitCode::usage, "a door called " + name + " would be taken for a file; " + instead);
    DoorFiles files(folder, name);
    if (!is_there(files.key)) return ImportPlace{std::move(files), std::nullopt};
    const auto present = read_stored_key(files.key);
    if (!present) return tl::unexpected(present.error());
    const KeyFile& other = clear_part(*present);
    const std::string whose =
        other.door.id != key.door.id ? "is the key of another door" : "is the key of the client " + other.client.name;
    return keep(files.key, whose + "; not overwritten; " + instead);
}

}  // namespace

std::optional<DoorFiles> find_imported_key(const KeyFile& key, const std::string& folder, std::optional<int> key_fd) {
    for (const Present& present : find_same(key, folder)) {
        DoorFiles files(folder, present.name);
        if (is_equal(present.key, files.key, key, key_fd)) return files;
    }
    return std::nullopt;
}

Result<ImportPlace> find_place(const KeyFile& key, const std::string& folder, const std::optional<std::string>& as) {
    if (as && !is_door_name(*as))
        return fail(ExitCode::usage, "--as \"" + printable(*as) + "\": " + std::string(name_rule) +
                                         "; and it must not end in .json, which would mean a file");
    auto same = find_same(key, folder);
    if (same.empty()) return new_place(key, folder, as);
    const auto wanted = std::ranges::find(same, as.value_or(key.door.name), &Present::name);
    if (wanted == same.end() && (as || same.size() > 1))
        return fail(ExitCode::cannot_create,
                    "this key is here already, as " + join(same, &Present::name) +
                        (same.size() > 1 ? "; say with --as which of them to replace, and remove the others"
                                         : "; a newer generation replaces it without --as. To have it under another "
                                           "name: oneknock remove " +
                                               same.front().name + ", then import it again"));
    Present& older = wanted == same.end() ? same.front() : *wanted;
    DoorFiles files(folder, older.name);
    if (const auto newer = check_is_newer(key, clear_part(older.key), files.key); !newer)
        return tl::unexpected(newer.error());
    return ImportPlace{std::move(files), std::move(older.key)};
}

}  // namespace oneknock

#include "keys/keygen/commands/rotate_door.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.hpp"
#include "common/log.hpp"
#include "keys/keygen/commands/kept_out.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/folder/staged_key_file.hpp"
#include "keys/rotation.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

Result<void> check_folder_is_new(const Rotate& command, const DoorFolder& folder) {
    if (command.output == standard_output)
        return fail(ExitCode::usage, "--door writes a key file for every client; give -o the name of a new directory");
    return check_output(command.output, folder);
}

std::string number_of(const Generation& generation) { return std::to_string(generation.number); }

// A third secret in force would have no place in the daemon.
Result<void> limit_generations(const Rotate& command, std::vector<Generation>& generations, UnixTime now) {
    const std::size_t most = most_door_generations;
    std::erase_if(generations, [now](const Generation& g) { return g.not_after && *g.not_after <= now; });
    if (generations.size() <= most) return {};
    if (!command.force)
        return fail(ExitCode::data,
                    "the door's secret is already being rotated: generation " + number_of(generations[0]) +
                        " is in force until " + time_text(*generations[0].not_after) +
                        ". Wait until then or, if `list` shows that all clients use a newer one, end it " +
                        "now with --force");
    while (generations.size() > most) {
        log::warning("generation " + number_of(generations[0]) + " of the door's secret ends now: clients without a " +
                     "newer one are locked out until they get their new key files");
        generations.erase(generations.begin());
    }
    return {};
}

bool is_let_in(const Client& client, UnixTime now) { return kept_out_by_policy(client, now).empty(); }

std::string name_in(const std::string& folder, const Client& client) { return folder + "/" + client.name + ".json"; }

// A key file of an earlier run that is good as it is.
bool is_current(const std::string& path, const Door& door, const Client& client) {
    const auto key = read_key_file(path);
    return key && key->door.secret.equals(door.generations.back().secret) && key->client.name == client.name &&
           key->client.secret.equals(client.generations.back().secret);
}

// One that an earlier run has left is completed. In a folder where others may write, it may be somebody else's, who
// could then read or replace the keys in it.
Result<void> check_partial_folder(const std::string& partial) {
    const Descriptor folder(open(partial.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!folder && errno == ENOENT) return {};
    struct stat info {};
    if (!folder || fstat(folder.get(), &info) != 0)
        return tl::unexpected(system_error("examine", partial, ExitCode::cannot_create));
    if (S_ISDIR(info.st_mode) && info.st_uid == geteuid() && (info.st_mode & 077) == 0) return {};
    return fail(ExitCode::cannot_create, partial +
                                             " exists and is not a directory of yours alone (mode 0700); remove it, "
                                             "or choose another name");
}

// A folder that somebody has made since it was checked is checked as well.
Result<void> prepare_partial_folder(const std::string& partial) {
    auto made = make_private_folder(partial);
    return !made && path_exists(partial) ? check_partial_folder(partial) : made;
}

// Whether the folder holds the door's newest secret: an earlier run has done all but the last step.
bool is_half_done(const std::string& partial, const Door& door) {
    const auto paths = client_paths(partial);
    return paths && std::ranges::any_of(*paths, [&](const std::string& path) {
               const auto key = read_key_file(path);
               return key && key->door.id == door.id && key->door.secret.equals(door.generations.back().secret);
           });
}

// Fills the folder with a key file for every client and nothing else; those that are current already stay.
Result<void> fill_folder(const std::string& partial, const Keyring& keyring, UnixTime now) {
    remove_leftovers(partial);
    for (const Client& client : keyring.clients) {
        const std::string path = name_in(partial, client);
        if (!is_let_in(client, now) || is_current(path, keyring.door, client)) continue;
        const auto text = key_file_text(make_key_file(keyring.door, client, now));
        auto written = path_exists(path) ? replace_file(path, text.bytes()) : write_new_file(path, text.bytes());
        if (!written) return written;
    }
    const auto paths = client_paths(partial);
    if (!paths) return tl::unexpected(paths.error());
    for (const std::string& path : *paths) {
        const auto is_its_name = [&](const Client& client) { return name_in(partial, client) == path; };
        const auto client = std::ranges::find_if(keyring.clients, is_its_name);
        if (client == keyring.clients.end() || !is_let_in(*client, now)) std::remove(path.c_str());
    }
    return sync_folder(partial);
}

void report(const Rotate& command, const Keyring& keyring) {
    const auto& generations = keyring.door.generations;
    log::info("rotated the door's secret: generation " + number_of(generations.back()) + " is now in force");
    for (const Generation& generation : generations)
        if (generation.not_after)
            log::info("generation " + number_of(generation) + " works until " + time_text(*generation.not_after) +
                      "; the daemon ends it earlier once all clients use the new one");
    log::info("next: copy every file in " + command.output +
              " to its client, run `oneknock import` on it there, and remove it here");
}

Result<void> change_door(const Rotate& command, const DoorFolder& folder, const Keyring& keyring, UnixTime now) {
    const std::string partial = partial_path(command.output);
    auto old_text = read_private_file(folder.door());
    if (!old_text) return tl::unexpected(old_text.error());
    const Change change{folder.door(), door_text(keyring.door), std::move(*old_text)};
    const auto discard = [&partial] {
        std::error_code ignored;
        fs::remove_all(partial, ignored);
    };
    if (auto prepared = prepare_partial_folder(partial); !prepared) return prepared;
    if (auto filled = fill_folder(partial, keyring, now); !filled) {
        discard();
        return filled;
    }
    return change_and_publish(
        change, [&] { return rename_noreplace(partial, command.output); }, discard);
}

}  // namespace

Result<void> rotate_door(const Rotate& command, const DoorFolder& folder) {
    const UnixTime now = read_clocks().wall;
    if (auto checked = check_folder_is_new(command, folder); !checked) return checked;
    auto keyring = folder.read_keyring();
    if (!keyring) return tl::unexpected(keyring.error());
    const auto tell = [&] { report(command, *keyring); };
    const std::string partial = partial_path(command.output);
    if (auto checked = check_partial_folder(partial); !checked) return checked;
    if (is_half_done(partial, keyring->door)) {
        log::info(
            "an earlier run rotated the door's secret but was stopped before it published the key files; doing so now");
        return fill_folder(partial, *keyring, now)
            .and_then([&] { return rename_noreplace(partial, command.output); })
            .map(tell);
    }
    auto& generations = keyring->door.generations;
    return add_generation(generations, Secret32::random(), now, command.overlap)
        .and_then([&] { return limit_generations(command, generations, now); })
        .and_then([&] { return change_door(command, folder, *keyring, now); })
        .map(tell);
}

}  // namespace oneknock::keygen

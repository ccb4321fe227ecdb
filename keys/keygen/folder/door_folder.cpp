#include "keys/keygen/folder/door_folder.hpp"

#include <algorithm>
#include <filesystem>

#include <fcntl.h>

#include "common/file_lock.hpp"
#include "common/files.hpp"
#include "common/json.hpp"
#include "common/nearest_word.hpp"
#include "common/text.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/shared_keys.hpp"

namespace oneknock::keygen {
namespace {

constexpr const char* how_to_make_a_door = "make a door with `oneknock-keygen init`";

// A missing file more often means a wrong word than a lost file.
Error with_hint(Error error, const std::string& hint) {
    if (error.code == ExitCode::no_input) error.message += "; " + hint;
    return error;
}

std::string name_of(const std::string& path) { return std::filesystem::path(path).stem().string(); }

// Of a client that the door does not have.
std::string hint_for(const std::string& name, const DoorFolder& folder) {
    std::vector<std::string> names;
    if (const auto paths = client_paths(folder.clients()))
        std::ranges::transform(*paths, std::back_inserter(names), name_of);
    const std::string missing = "the door has no client " + json::quote(name);
    if (names.empty()) return missing + "; to add one: " + folder.command("add " + name + " --allow SERVICE -o FILE");
    const std::string question = did_you_mean(name, names);
    return missing + question + (question.empty() ? "; to see the clients: " : " To see all: ") +
           folder.command("list");
}

}  // namespace

std::string DoorFolder::command(const std::string& words) const {
    return "oneknock-keygen " + words + (path_ == default_folder ? "" : " --dir " + shell_word(path_));
}

Result<Door> DoorFolder::read_door() const {
    return load_door(door()).map_error([](Error error) { return with_hint(std::move(error), how_to_make_a_door); });
}

Result<Keyring> DoorFolder::read_keyring() const {
    if (const auto readable = read_door(); !readable) return tl::unexpected(readable.error());
    return load_keyring(door(), clients());
}

Result<ReadableKeyring> DoorFolder::read_what_is_right() const {
    return read_door().and_then([&](Door&& door) { return load_what_is_right(std::move(door), clients()); });
}

Result<Client> DoorFolder::read_client(const std::string& name) const {
    const std::string path = client(name);
    if (!path_exists(path)) {
        if (const auto readable = read_door(); !readable) return tl::unexpected(readable.error());
        return fail(ExitCode::no_input, hint_for(name, *this));
    }
    const auto text = read_private_file(path);
    if (!text) return tl::unexpected(text.error());
    return parse_client(text->text(), path);
}

Result<void> DoorFolder::check_with_door(const Client& client) const {
    return read_door().and_then(
        [&](const Door& door) { return check_client(client, door, this->client(client.name)); });
}

Result<Client> DoorFolder::read_client_of(const Door& door, const std::string& name) const {
    auto found = read_client(name);
    if (!found) return found;
    if (auto checked = check_client(*found, door, client(name)); !checked) return tl::unexpected(checked.error());
    return found;
}

Result<void> DoorFolder::replace_door(const Door& door) const {
    return replace_file(this->door(), door_text(door).bytes(), 0600);
}

Result<void> DoorFolder::replace_client(const Client& client) const {
    return replace_file(this->client(client.name), client_text(client).bytes(), 0600);
}

Result<void> check_services_exist(const std::vector<std::string>& names, const Door& door, const std::string& file) {
    std::vector<std::string> known;
    for (const auto& [name, service] : door.services) known.push_back(name);
    for (const std::string& name : names)
        if (!door.services.contains(name))
            return fail(ExitCode::data, file + ": the door has no service " + json::quote(name) + "; it has " +
                                            service_names(door.services) + did_you_mean(name, known));
    return {};
}

// By the clients' folder: init has made it, with mode 0700. DIR may be one that others read, who could hold its lock.
Result<Descriptor> lock_door(const DoorFolder& folder) {
    Descriptor fd(open(folder.clients().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return tl::unexpected(with_hint(system_error("open the door's directory", folder.path(), ExitCode::no_input),
                                        how_to_make_a_door));
    if (!wait_for_lock(fd.get(), "another oneknock-keygen that is changing this door"))
        return tl::unexpected(system_error("lock the door's directory", folder.path()));
    for (const std::string& path : {folder.path(), folder.clients()}) remove_leftovers(path);
    return fd;
}

}  // namespace oneknock::keygen

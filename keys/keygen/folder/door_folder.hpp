// The files of a door's folder, DIR, and its lock: one command at a time changes a door.
#pragma once

#include <string>
#include <vector>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "keys/keyring.hpp"

namespace oneknock::keygen {

inline constexpr const char* default_folder = "/etc/oneknock";

class DoorFolder {
public:
    explicit DoorFolder(std::string path) : path_(std::move(path)) {}

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string config() const { return path_ + "/oneknockd.json"; }
    [[nodiscard]] std::string door() const { return path_ + "/door.json"; }
    [[nodiscard]] std::string clients() const { return path_ + "/clients.d"; }
    [[nodiscard]] std::string client(const std::string& name) const { return clients() + "/" + name + ".json"; }

    // A command for this folder, to be told to people: "oneknock-keygen WORDS", with --dir unless that is the default.
    [[nodiscard]] std::string command(const std::string& words) const;

    [[nodiscard]] Result<Door> read_door() const;
    [[nodiscard]] Result<Keyring> read_keyring() const;
    [[nodiscard]] Result<ReadableKeyring> read_what_is_right() const;
    // Checked against nothing but its own rules. One that does not exist: ExitCode::no_input, with the nearest name.
    [[nodiscard]] Result<Client> read_client(const std::string& name) const;
    // Against its door and its file's name.
    [[nodiscard]] Result<void> check_with_door(const Client& client) const;
    // Checked so as well.
    [[nodiscard]] Result<Client> read_client_of(const Door& door, const std::string& name) const;

    // In the place of the old file, durably and in one step. Comments and x- fields are lost.
    [[nodiscard]] Result<void> replace_door(const Door& door) const;
    [[nodiscard]] Result<void> replace_client(const Client& client) const;

private:
    std::string path_;
};

// Held while the descriptor is open; waits for another command to exit. Removes the hidden files that killed commands
// have left in the door's folders.
[[nodiscard]] Result<Descriptor> lock_door(const DoorFolder& folder);

// Every one of these names is a service of the door's; else ExitCode::data, with the nearest right one.
[[nodiscard]] Result<void> check_services_exist(const std::vector<std::string>& names, const Door& door,
                                                const std::string& file);

}  // namespace oneknock::keygen

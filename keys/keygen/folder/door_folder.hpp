// The files of a door's folder, DIR, and its lock: one command at a time changes a door.
#pragma once

#include <string>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "keys/keyring.hpp"

namespace oneknock::keygen {

class DoorFolder {
public:
    explicit DoorFolder(std::string path) : path_(std::move(path)) {}

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string config() const { return path_ + "/oneknockd.json"; }
    [[nodiscard]] std::string door() const { return path_ + "/door.json"; }
    [[nodiscard]] std::string clients() const { return path_ + "/clients.d"; }
    [[nodiscard]] std::string client(const std::string& name) const { return clients() + "/" + name + ".json"; }

    [[nodiscard]] Result<Door> read_door() const;
    [[nodiscard]] Result<Keyring> read_keyring() const;
    [[nodiscard]] Result<Client> read_client(const std::string& name) const;

private:
    std::string path_;
};

// Held while the descriptor is open; waits for another command to exit. Removes the hidden files that killed commands
// have left in the door's folders.
[[nodiscard]] Result<Descriptor> lock_door(const DoorFolder& folder);

}  // namespace oneknock::keygen

// The files of a door's folder, DIR.
#pragma once

#include <string>

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
    [[nodiscard]] Result<Client> read_client(const std::string& name) const;

private:
    std::string path_;
};

}  // namespace oneknock::keygen

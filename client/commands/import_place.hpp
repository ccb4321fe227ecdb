// Where an imported key goes: in the place of an older generation of the same key, whatever name that has here, or
// under a name of its own.
#pragma once

#include <optional>
#include <string>

#include "client/door/door_folder.hpp"
#include "common/result.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

struct ImportPlace {
    DoorFiles files;
    std::optional<StoredKey> older;  // what it replaces
};

// Keys are the same if door (by its id) and client are. `as` is the name that the user wants instead of the door's. No
// other key is ever overwritten: ExitCode::cannot_create, with what to do.
[[nodiscard]] Result<ImportPlace> find_place(const KeyFile& key, const std::string& folder,
                                             const std::optional<std::string>& as);

// Where this very key is already: door, client, generations and secrets are the same. The passphrase of a key that may
// be it is read from `key_fd`, or asked for.
[[nodiscard]] std::optional<DoorFiles> find_imported_key(const KeyFile& key, const std::string& folder,
                                                         std::optional<int> key_fd);

}  // namespace oneknock

// The rotation of the door's secret, with a new key file for every client.
#pragma once

#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {

// The key files lie complete in a folder of a partial name (keys/keygen/folder/staged_key_file) before the door's file
// is replaced, which is the moment the new secret is in force; then the folder gets its name. The door is locked.
[[nodiscard]] Result<void> rotate_door(const Rotate& command, const DoorFolder& folder);

}  // namespace oneknock::keygen

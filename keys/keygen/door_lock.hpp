// One command at a time changes a door.
#pragma once

#include "common/fd.hpp"
#include "keys/keygen/door_folder.hpp"

namespace oneknock::keygen {

// Held while the descriptor is open; waits for another command to end. Clears away the hidden files that commands which
// were killed have left in the door's folders.
[[nodiscard]] Result<Descriptor> lock_door(const DoorFolder& folder);

}  // namespace oneknock::keygen

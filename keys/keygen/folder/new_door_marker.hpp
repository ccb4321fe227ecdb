// Word to the daemon that a door is new.
#pragma once

#include <string>

#include "common/protocol/constants.hpp"

namespace oneknock::keygen {

// The daemon takes a missing replay record for a lost one and refuses knocks for one tolerance window. The file
// STATE/new-door, with the door's id, tells it that this door never had one. Where it cannot be written the door works
// all the same after that window, so what fails here is a warning.
void announce_new_door(const std::string& state, const DoorId& door);

}  // namespace oneknock::keygen

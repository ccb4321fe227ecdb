// What `init` and `add` do, without what they say to whoever types them one by one: setup goes on by itself.
#pragma once

#include "keys/keygen/commands/commands.hpp"

namespace oneknock::keygen {

// ExitCode::cannot_create if the folder holds a door, or a part of one.
[[nodiscard]] Result<void> check_no_door(const DoorFolder& folder);

// All of it or nothing.
[[nodiscard]] Result<void> make_door(const Init& command);

// The door must be locked, or new. All of it or nothing.
[[nodiscard]] Result<void> add_client(const DoorFolder& folder, const Add& command);

}  // namespace oneknock::keygen

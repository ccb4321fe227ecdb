// After a door's folder was changed: the daemon that uses it, if one runs, is made to take the change in at once.
#pragma once

#include <string>

#include "common/result.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {

// What shall be in force now. An empty client: it is about the door alone.
struct Wanted {
    std::string client;
    bool let_in = true;
    std::uint32_t generation = 0;       // the newest of the client's key, or whichever
    std::uint32_t door_generation = 0;  // the newest of the door's secret, or whichever
};

// Asks the daemon on the socket that DIR/oneknockd.json names, and prints what it answered, or that nobody did. A
// daemon that has something else in force is only warned of; but where it still lets in whom it shall not, that is an
// error. To be called when the folder's lock is released: the daemon may take its time.
[[nodiscard]] Result<void> tell_daemon(const DoorFolder& folder, const Wanted& wanted);

}  // namespace oneknock::keygen

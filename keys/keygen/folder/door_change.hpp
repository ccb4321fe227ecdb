// How every command that changes a door does it: the folder is locked, changed and released, and then the daemon told.
#pragma once

#include <functional>
#include <string>

#include "common/result.hpp"
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/keygen/folder/tell_daemon.hpp"

namespace oneknock::keygen {

// The change is made while the folder is locked, and tells what shall be in force afterwards.
[[nodiscard]] Result<void> change_door(const std::string& folder,
                                       const std::function<Result<Wanted>(const DoorFolder&)>& change);

// The same with one of its clients, as its file is. Whether the door's file is right plays no part: what takes away
// does not wait until everything else is in order.
[[nodiscard]] Result<void> change_client(const std::string& folder, const std::string& client,
                                         const std::function<Result<Wanted>(const DoorFolder&, Client&)>& change);

}  // namespace oneknock::keygen

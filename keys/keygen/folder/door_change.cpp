#include "keys/keygen/folder/door_change.hpp"

namespace oneknock::keygen {
namespace {

Result<Wanted> change_locked(const DoorFolder& folder, const std::function<Result<Wanted>(const DoorFolder&)>& change) {
    const auto lock = lock_door(folder);
    if (!lock) return tl::unexpected(lock.error());
    return change(folder);
}

}  // namespace

Result<void> change_door(const std::string& folder, const std::function<Result<Wanted>(const DoorFolder&)>& change) {
    const DoorFolder door(folder);
    return change_locked(door, change).and_then([&](const Wanted& wanted) { return tell_daemon(door, wanted); });
}

Result<void> change_client(const std::string& folder, const std::string& client,
                           const std::function<Result<Wanted>(const DoorFolder&, Client&)>& change) {
    return change_door(folder, [&](const DoorFolder& door) {
        return door.read_client(client).and_then([&](Client&& found) { return change(door, found); });
    });
}

}  // namespace oneknock::keygen

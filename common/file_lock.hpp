// flock(2) on a file or a folder: held by one process at a time, for as long as it has the descriptor open. Whoever may
// read it can hold it, so what nobody may hold up is locked by something of its owner's alone.
#pragma once

#include <string_view>

namespace oneknock {

// False: errno says why; EWOULDBLOCK, if another process holds it.
[[nodiscard]] bool try_lock(int fd);

// Waits for its holder, and says so: "another oneknock-keygen that is changing this door". False: errno says why.
[[nodiscard]] bool wait_for_lock(int fd, std::string_view holder);

// Whether other users may read it.
[[nodiscard]] bool others_can_hold(int fd);

// For what goes without the lock rather than be held up: waits for three seconds at most where others can hold it.
// False: errno says why; EWOULDBLOCK, if it is still held.
[[nodiscard]] bool wait_a_while_for_lock(int fd, std::string_view holder);

}  // namespace oneknock

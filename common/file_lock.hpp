// flock(2) on a file or a folder: held by one process at a time, for as long as it has the descriptor open.
#pragma once

#include <string_view>

namespace oneknock {

// False: errno says why; EWOULDBLOCK, if another process holds it.
[[nodiscard]] bool try_lock(int fd);

// Waits for its holder, and says so: "another oneknock-keygen that is changing this door". False: errno says why.
[[nodiscard]] bool wait_for_lock(int fd, std::string_view holder);

}  // namespace oneknock

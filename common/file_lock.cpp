#include "common/file_lock.hpp"

#include <cerrno>
#include <string>

#include <sys/file.h>

#include "common/log.hpp"

namespace oneknock {

bool try_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0; }

bool wait_for_lock(int fd, std::string_view holder) {
    if (try_lock(fd)) return true;
    if (errno != EWOULDBLOCK) return false;
    log::info("waiting for " + std::string(holder));
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) return false;
    return true;
}

}  // namespace oneknock

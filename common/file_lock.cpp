#include "common/file_lock.hpp"

#include <cerrno>
#include <string>

#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

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

bool others_can_hold(int fd) {
    struct stat info {};
    return fstat(fd, &info) == 0 && (info.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

bool wait_a_while_for_lock(int fd, std::string_view holder) {
    if (!others_can_hold(fd)) return wait_for_lock(fd, holder);
    for (int tries = 0;; ++tries) {
        if (try_lock(fd)) return true;
        if (errno != EWOULDBLOCK || tries == 30) return false;
        if (tries == 0) log::info("waiting for " + std::string(holder));
        poll(nullptr, 0, 100);
    }
}

}  // namespace oneknock

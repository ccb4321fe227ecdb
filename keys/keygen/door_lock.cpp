#include "keys/keygen/door_lock.hpp"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>

#include "common/log.hpp"
#include "keys/keygen/output.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

bool lock(int fd) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) return false;
    log::info("waiting for another oneknock-keygen that works on this door");
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) return false;
    return true;
}

}  // namespace

Result<Descriptor> lock_door(const DoorFolder& folder) {
    Descriptor fd(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        auto error = system_error("open the door's folder", folder.path(), ExitCode::no_input);
        if (error.code == ExitCode::no_input) error.message += "; `oneknock-keygen init` makes a door";
        return tl::unexpected(error);
    }
    if (!lock(fd.get())) return tl::unexpected(system_error("lock the door's folder", folder.path()));
    for (const std::string& path : {folder.path(), folder.clients()}) remove_leftovers(path);
    return fd;
}

}  // namespace oneknock::keygen

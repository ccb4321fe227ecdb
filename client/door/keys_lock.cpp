#include "client/door/keys_lock.hpp"

#include <cerrno>

#include <fcntl.h>

#include "common/file_lock.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

Result<Descriptor> open_folder(const std::string& folder) {
    Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return tl::unexpected(system_error("open the folder", folder, ExitCode::no_input));
    return fd;
}

std::string holder(const std::string& folder) {
    return "another oneknock command that is changing the keys in " + printable(folder);
}

}  // namespace

Result<KeysLock> KeysLock::wait_for(const std::string& folder) {
    auto fd = open_folder(folder);
    if (!fd) return tl::unexpected(fd.error());
    if (!wait_for_lock(fd->get(), holder(folder))) return tl::unexpected(system_error("lock the folder", folder));
    return KeysLock(*std::move(fd));
}

Result<KeysLock> KeysLock::take(const std::string& folder) {
    auto fd = open_folder(folder);
    if (!fd) return tl::unexpected(fd.error());
    if (try_lock(fd->get())) return KeysLock(*std::move(fd));
    if (errno != EWOULDBLOCK) return tl::unexpected(system_error("lock the folder", folder));
    return fail(ExitCode::try_later, "there is " + holder(folder) + "; wait until it is done");
}

}  // namespace oneknock

#include "client/door/keys_lock.hpp"

#include <cerrno>

#include <fcntl.h>

#include "client/door/door_folder.hpp"
#include "common/file_lock.hpp"
#include "common/files.hpp"
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

// Elsewhere such a file may be another program's that is at work.
void tidy(const std::string& folder) {
    if (config_folder() == folder) remove_leftovers(folder);
}

}  // namespace

// Where the file system has no locks for folders (NFS), or another user may hold it, it goes without: what was changed
// meanwhile is found out all the same (replace_stored_key).
KeysLock::KeysLock(Descriptor folder, const std::string& path, bool is_held) : folder_(std::move(folder)) {
    if (is_held) tidy(path);
}

Result<KeysLock> KeysLock::wait_for(const std::string& folder) {
    auto fd = open_folder(folder);
    if (!fd) return tl::unexpected(fd.error());
    const bool is_held = wait_a_while_for_lock(fd->get(), holder(folder));
    return KeysLock(*std::move(fd), folder, is_held);
}

Result<KeysLock> KeysLock::take(const std::string& folder) {
    auto fd = open_folder(folder);
    if (!fd) return tl::unexpected(fd.error());
    const bool is_held = try_lock(fd->get());
    if (is_held || errno != EWOULDBLOCK || others_can_hold(fd->get())) return KeysLock(*std::move(fd), folder, is_held);
    return fail(ExitCode::try_later, "there is " + holder(folder) + "; wait until it is done");
}

}  // namespace oneknock

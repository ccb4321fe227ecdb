#include "keys/keygen/folder/atomic_files.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.hpp"
#include "common/secret.hpp"

namespace oneknock::keygen {
namespace {

// Not all file systems know how to rename without overwriting.
bool rename_to_free_name(const std::string& from, const std::string& to) {
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) return false;
    if (path_exists(to)) {
        errno = EEXIST;
        return false;
    }
    return rename(from.c_str(), to.c_str()) == 0;
}

}  // namespace

bool path_exists(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0;
}

Result<void> make_private_folder(const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0)
        return tl::unexpected(system_error("create the directory", path, ExitCode::cannot_create));
    auto synced = sync_folder(folder_of(path));
    if (!synced) rmdir(path.c_str());
    return synced;
}

Result<void> write_new_file(const std::string& path, ByteSpan content) {
    const Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd || !write_all(fd.get(), content) || fsync(fd.get()) != 0)
        return tl::unexpected(system_error("write", path, ExitCode::cannot_create));
    return {};
}

Result<void> rename_noreplace(const std::string& from, const std::string& to) {
    if (!rename_to_free_name(from, to)) return tl::unexpected(system_error("create", to, ExitCode::cannot_create));
    auto synced = sync_folder(folder_of(to));
    if (!synced) rename_to_free_name(to, from);
    return synced;
}

Undo::~Undo() {
    for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) std::remove(path->c_str());
}

}  // namespace oneknock::keygen

#include "common/files.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text.hpp"

namespace oneknock {
namespace {

Result<SecretBytes> read_whole(int fd, std::size_t size_hint, const std::string& name) {
    SecretBytes content(size_hint + 1);  // one more, to notice a file that grows
    std::size_t length = 0;
    for (;;) {
        const auto room = content.bytes().subspan(length);
        const auto got = pread(fd, room.data(), room.size(), static_cast<off_t>(length));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tl::unexpected(system_error("read", name));
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
        if (length > size_hint)
            return fail(ExitCode::data, printable(name) + ": the file changed while it was read; try again");
    }
    content.shrink(length);
    return content;
}

Result<struct stat> examine(int fd, const std::string& name) {
    struct stat info {};
    if (fstat(fd, &info) != 0) return tl::unexpected(system_error("examine", name));
    if (!S_ISREG(info.st_mode)) return fail(ExitCode::data, printable(name) + ": not a regular file");
    if (static_cast<std::size_t>(info.st_size) > largest_file)
        return fail(ExitCode::data, printable(name) + ": too large (" + std::to_string(info.st_size) +
                                        " bytes, at most " + std::to_string(largest_file) + ")");
    return info;
}

constexpr std::string_view hidden = ".oneknock-";

// All of it under a hidden name in the folder, mode 0600; the name is left in `temporary`.
Result<Descriptor> write_hidden(const std::string& path, ByteSpan content, std::string& temporary) {
    const std::string folder = folder_of(path);
    temporary = folder + "/" + std::string(hidden) + "XXXXXX";
    Descriptor fd(mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) return tl::unexpected(system_error("create a file in", folder, ExitCode::cannot_create));
    if (write_all(fd.get(), content) && fsync(fd.get()) == 0) return fd;
    const Error error = system_error("write", path, ExitCode::cannot_create);
    unlink(temporary.c_str());
    return tl::unexpected(error);
}

}  // namespace

Result<Descriptor> open_to_read(const std::string& path) {
    Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not block us
    if (!fd) return tl::unexpected(system_error("open", path, ExitCode::no_input));
    return fd;
}

Result<SecretBytes> read_private(int fd, const std::string& name) {
    const auto info = examine(fd, name);
    if (!info) return tl::unexpected(info.error());
    if ((info->st_mode & 077) != 0) {
        char mode[8];
        std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(info->st_mode & 07777));
        return fail(ExitCode::permission, printable(name) + ": holds a secret but others may read or write it (mode " +
                                              mode + "); run: chmod 600 " + shell_word(name));
    }
    if (info->st_uid != 0 && info->st_uid != geteuid())
        return fail(ExitCode::permission, printable(name) + ": belongs to another user (uid " +
                                              std::to_string(info->st_uid) +
                                              "); a secret must belong to you or to root");
    return read_whole(fd, static_cast<std::size_t>(info->st_size), name);
}

Result<SecretBytes> read_private_file(const std::string& path) {
    const auto fd = open_to_read(path);
    if (!fd) return tl::unexpected(fd.error());
    return read_private(fd->get(), path);
}

Result<SecretBytes> read_file(int fd, const std::string& name) {
    const auto info = examine(fd, name);
    if (!info) return tl::unexpected(info.error());
    return read_whole(fd, static_cast<std::size_t>(info->st_size), name);
}

Result<SecretBytes> read_file(const std::string& path) {
    const auto fd = open_to_read(path);
    if (!fd) return tl::unexpected(fd.error());
    return read_file(fd->get(), path);
}

Result<void> create_private_file(const std::string& path, ByteSpan content) {
    std::string temporary;
    if (const auto written = write_hidden(path, content, temporary); !written) return tl::unexpected(written.error());
    Result<void> result;
    if (link(temporary.c_str(), path.c_str()) != 0)  // which unlike a rename never overwrites
        result = errno == EEXIST ? fail(ExitCode::cannot_create, printable(path) +
                                                                     " already exists; not overwritten. Remove it "
                                                                     "or choose another name")
                                 : tl::unexpected(system_error("create", path, ExitCode::cannot_create));
    unlink(temporary.c_str());
    if (!result) return result;
    result = sync_folder(folder_of(path));
    if (!result) unlink(path.c_str());
    return result;
}

Result<void> replace_file(const std::string& path, ByteSpan content, mode_t mode) {
    std::string temporary;
    const auto fd = write_hidden(path, content, temporary);
    if (!fd) return tl::unexpected(fd.error());
    if (fchmod(fd->get(), mode) == 0 && std::rename(temporary.c_str(), path.c_str()) == 0)
        return sync_folder(folder_of(path));
    const Error error = system_error("write", path, ExitCode::cannot_create);
    unlink(temporary.c_str());
    return tl::unexpected(error);
}

void remove_leftovers(const std::string& folder) {
    namespace fs = std::filesystem;
    std::vector<fs::path> leftovers;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
        if (at->path().filename().string().starts_with(hidden)) leftovers.push_back(at->path());
    for (const fs::path& path : leftovers) std::remove(path.c_str());
}

std::string folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> sync_folder(const std::string& folder) {
    const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || fsync(fd.get()) != 0) return tl::unexpected(system_error("sync", folder, ExitCode::cannot_create));
    return {};
}

}  // namespace oneknock

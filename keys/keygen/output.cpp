#include "keys/keygen/output.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.hpp"
#include "common/secret.hpp"

namespace oneknock::keygen {
namespace {

Result<void> sync_folder(const std::string& folder) {
    const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || fsync(fd.get()) != 0) return tl::unexpected(system_error("sync", folder, Exit::cannot_create));
    return {};
}

// A hidden name that does not look like a client's file to the daemon.
std::string temporary_name(const std::string& folder) {
    std::array<std::uint8_t, 8> random{};
    fill_random(random);
    return folder + "/.oneknock-keygen-" + to_hex(random);
}

}  // namespace

std::string folder_of(const std::string& path) {
    const auto parent = std::filesystem::path(path).parent_path();
    return parent.empty() ? "." : parent.string();
}

bool is_taken(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0;
}

Result<void> make_private_folder(const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0)
        return tl::unexpected(system_error("make the folder", path, Exit::cannot_create));
    return sync_folder(folder_of(path));
}

Result<void> replace_file(const std::string& path, ByteSpan content, mode_t mode) {
    const std::string folder = folder_of(path);
    const std::string temporary = temporary_name(folder);
    if (auto created = create_private_file(temporary, content); !created) return created;
    Undo undo;
    undo.made(temporary);
    if (chmod(temporary.c_str(), mode) != 0 || rename(temporary.c_str(), path.c_str()) != 0)
        return tl::unexpected(system_error("write", path, Exit::cannot_create));
    undo.keep();
    return sync_folder(folder);
}

Result<void> write_standard_output(ByteSpan content) {
    while (!content.empty()) {
        const auto wrote = write(STDOUT_FILENO, content.data(), content.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return tl::unexpected(system_error("write", "standard output", Exit::cannot_create));
        content = content.subspan(static_cast<std::size_t>(wrote));
    }
    return {};
}

Undo::~Undo() {
    for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) std::remove(path->c_str());
}

}  // namespace oneknock::keygen

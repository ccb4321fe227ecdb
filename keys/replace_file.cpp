#include "keys/replace_file.hpp"

#include <array>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.hpp"
#include "common/secret.hpp"

namespace oneknock {
namespace {

// A hidden name that does not look like a client's file to the daemon.
std::string temporary_name(const std::string& folder) {
    std::array<std::uint8_t, 8> random{};
    fill_random(random);
    return folder + "/.oneknock-" + to_hex(random);
}

}  // namespace

std::string folder_of(const std::string& path) {
    const auto parent = std::filesystem::path(path).parent_path();
    return parent.empty() ? "." : parent.string();
}

Result<void> replace_file(const std::string& path, ByteSpan content, mode_t mode) {
    const std::string folder = folder_of(path);
    const std::string temporary = temporary_name(folder);
    if (auto created = create_private_file(temporary, content); !created) return created;
    if (chmod(temporary.c_str(), mode) == 0 && std::rename(temporary.c_str(), path.c_str()) == 0)
        return sync_folder(folder);
    const Error error = system_error("write", path, ExitCode::cannot_create);
    std::remove(temporary.c_str());
    return tl::unexpected(error);
}

Result<void> sync_folder(const std::string& folder) {
    const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || fsync(fd.get()) != 0) return tl::unexpected(system_error("sync", folder, ExitCode::cannot_create));
    return {};
}

}  // namespace oneknock

#include "server/parent/runtime_files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "keys/record_schema.hpp"
#include "server/firewall/table_lock.hpp"

namespace oneknock {
namespace {

constexpr const char* lock_name = "lock";

// The folder and everything above it; only what is made here gets this mode.
Result<void> make_folder(const std::string& path, mode_t mode) {
    std::error_code error;
    const std::filesystem::path folder(path);
    if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
    if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
    return tl::unexpected(system_error("create the folder", path, ExitCode::cannot_create));
}

Result<Descriptor> prepare_state(const DaemonConfig& config, const Identity& identity) {
    if (const auto made = make_folder(config.state, 0700); !made) return tl::unexpected(made.error());
    const Descriptor folder(open(config.state.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!folder) return tl::unexpected(system_error("open the state folder", config.state));
    Descriptor lock(openat(folder.get(), lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return tl::unexpected(system_error("create the lock in", config.state, ExitCode::cannot_create));
    if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return fail(ExitCode::unavailable, "another oneknockd uses the state folder " + config.state +
                                               "; stop it, or give this one a folder of its own (field \"state\")");
    if (!identity.can_change) return lock;
    if (fchown(folder.get(), identity.uid, identity.gid) != 0)
        return tl::unexpected(system_error("hand over", config.state));
    std::vector<std::string> files{lock_name, new_door_name};
    for (const char* suffix : record_suffixes) files.push_back(std::string(record_file_name) + suffix);
    for (const std::string& file : files)
        if (fchownat(folder.get(), file.c_str(), identity.uid, identity.gid, AT_SYMLINK_NOFOLLOW) != 0 &&
            errno != ENOENT)
            return tl::unexpected(system_error("hand over", config.state + "/" + file));
    return lock;
}

Result<Descriptor> make_socket(const DaemonConfig& config, const Identity& identity) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (config.socket.size() >= sizeof address.sun_path)
        return fail(ExitCode::config, config.path + ": field \"socket\": the path is too long (at most " +
                                          std::to_string(sizeof address.sun_path - 1) + " characters)");
    std::memcpy(address.sun_path, config.socket.c_str(), config.socket.size());
    const auto folder = std::filesystem::path(config.socket).parent_path().string();
    if (const auto made = make_folder(folder, 0755); !made) return tl::unexpected(made.error());
    Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return tl::unexpected(system_error("make", "the control socket"));
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return fail(ExitCode::unavailable, "another oneknockd answers on " + config.socket +
                                               "; stop it, or give this one another socket (field \"socket\")");
    fd.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    struct stat info {};
    if (lstat(config.socket.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) unlink(config.socket.c_str());
    const mode_t before = umask(0117);  // 0660 from the first moment
    const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    umask(before);
    if (bound != 0 || listen(fd.get(), 16) != 0)
        return tl::unexpected(system_error("create", config.socket, ExitCode::cannot_create));
    if (identity.can_change && lchown(config.socket.c_str(), identity.uid, identity.gid) != 0)
        return tl::unexpected(system_error("hand over", config.socket));
    return fd;
}

}  // namespace

Result<RuntimeFiles> RuntimeFiles::prepare(const DaemonConfig& config, const Identity& identity, bool without_table) {
    RuntimeFiles files;
    if (!without_table) {
        auto table = lock_table(config.firewall);
        if (!table) return tl::unexpected(table.error());
        files.table_lock = std::move(*table);
    }
    auto state = prepare_state(config, identity);
    if (!state) return tl::unexpected(state.error());
    files.state_lock = std::move(*state);
    auto control = make_socket(config, identity);
    if (!control) return tl::unexpected(control.error());
    files.control_socket = std::move(*control);
    return files;
}

void RuntimeFiles::close() {
    table_lock.reset();
    state_lock.reset();
    control_socket.reset();
}

}  // namespace oneknock

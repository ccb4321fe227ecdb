#include "server/parent/runtime_files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/file_lock.hpp"
#include "keys/record_files.hpp"
#include "server/firewall/table_lock.hpp"

namespace oneknock {
namespace {

// The folder and everything above it; only what is made here gets this mode. Empty: the working directory.
Result<void> make_folder(const std::string& path, mode_t mode) {
    if (path.empty()) return {};
    std::error_code error;
    const std::filesystem::path folder(path);
    if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
    if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
    return tl::unexpected(system_error("create the folder", path, ExitCode::cannot_create));
}

Result<Descriptor> open_state(const DaemonConfig& config) {
    if (const auto made = make_folder(config.state, 0700); !made) return tl::unexpected(made.error());
    if (const auto apart = check_state_folder(config); !apart) return tl::unexpected(apart.error());
    Descriptor folder(open(config.state.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!folder) return tl::unexpected(system_error("open the state folder", config.state, ExitCode::cannot_create));
    return folder;
}

Result<Descriptor> lock_state(const DaemonConfig& config, const Descriptor& folder) {
    Descriptor lock(openat(folder.get(), state_lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return tl::unexpected(system_error("create the lock in", config.state, ExitCode::cannot_create));
    if (try_lock(lock.get())) return lock;
    if (errno != EWOULDBLOCK) return tl::unexpected(system_error("lock", config.state, ExitCode::unavailable));
    return fail(ExitCode::unavailable, "another oneknockd uses the state folder " + config.state +
                                           "; stop it, or give this one a folder of its own (field \"state\")");
}

// A file that has another name elsewhere is not ours to give away: whoever owns the folder may have linked it there.
Result<void> hand_over(const Descriptor& folder, const std::string& name, const std::string& path,
                       const Identity& identity) {
    const Descriptor file(openat(folder.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!file && errno == ENOENT) return {};
    if (!file || fstat(file.get(), &info) != 0)
        return tl::unexpected(system_error("hand over", path, ExitCode::cannot_create));
    if (!S_ISREG(info.st_mode) || info.st_nlink != 1)
        return fail(ExitCode::data, path + ": not a regular file with one name; remove it");
    if (fchownat(file.get(), "", identity.uid, identity.gid, AT_EMPTY_PATH) == 0) return {};
    return tl::unexpected(system_error("hand over", path, ExitCode::cannot_create));
}

Result<void> hand_over_state(const DaemonConfig& config, const Descriptor& folder, const Identity& identity) {
    if (!identity.can_change) return {};
    if (fchownat(folder.get(), "", identity.uid, identity.gid, AT_EMPTY_PATH) != 0)
        return tl::unexpected(system_error("hand over", config.state, ExitCode::cannot_create));
    std::vector<std::string> names{state_lock_name, new_door_name, record_file_name, mark_file_name};
    for (const char* suffix : audit_suffixes) names.push_back(std::string(audit_file_name) + suffix);
    for (const std::string& name : names)
        if (auto given = hand_over(folder, name, config.state + "/" + name, identity); !given) return given;
    return {};
}

Descriptor make_stream_socket() { return Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

// Removes the socket of a daemon that is gone. One whose queue is full is not gone.
Result<void> remove_stale_socket(const std::string& path, const sockaddr_un& address) {
    const Descriptor fd = make_stream_socket();
    if (!fd) return tl::unexpected(system_error("make", "the control socket"));
    const bool connected = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (connected || errno == EAGAIN)
        return fail(ExitCode::unavailable, "another oneknockd answers on " + path +
                                               "; stop it, or give this one another socket (field \"socket\")");
    if (errno == ENOENT) return {};
    const int reason = errno;
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode))
        return fail(ExitCode::cannot_create, path +
                                                 " is in the way of the control socket; remove it, or choose another "
                                                 "path (field \"socket\")");
    errno = reason;
    if (reason == ECONNREFUSED && unlink(path.c_str()) == 0) return {};  // nobody has it any more
    return tl::unexpected(system_error("replace", path, ExitCode::cannot_create));
}

Result<Descriptor> make_control_socket(const DaemonConfig& config, const Identity& identity) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (config.socket.size() >= sizeof address.sun_path)
        return fail(ExitCode::config, config.path + ": field \"socket\": the path is too long (at most " +
                                          std::to_string(sizeof address.sun_path - 1) + " characters)");
    std::memcpy(address.sun_path, config.socket.c_str(), config.socket.size());
    const auto folder = std::filesystem::path(config.socket).parent_path().string();
    if (const auto made = make_folder(folder, 0755); !made) return tl::unexpected(made.error());
    if (const auto free = remove_stale_socket(config.socket, address); !free) return tl::unexpected(free.error());
    Descriptor fd = make_stream_socket();
    if (!fd) return tl::unexpected(system_error("make", "the control socket"));
    const mode_t before = umask(0117);  // 0660 from the first moment
    const int bound = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    umask(before);
    if (bound != 0 || listen(fd.get(), 16) != 0)
        return tl::unexpected(system_error("create", config.socket, ExitCode::cannot_create));
    if (identity.can_change && lchown(config.socket.c_str(), identity.uid, identity.gid) != 0)
        return tl::unexpected(system_error("hand over", config.socket, ExitCode::cannot_create));
    return fd;
}

bool is_same_folder(const struct stat& one, const std::string& path) {
    struct stat other {};
    return stat(path.empty() ? "." : path.c_str(), &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

}  // namespace

Result<void> check_state_folder(const DaemonConfig& config) {
    struct stat state {};
    if (stat(config.state.c_str(), &state) != 0) {
        if (errno == ENOENT) return {};  // it is made for this alone
        return tl::unexpected(system_error("examine the state folder", config.state, ExitCode::cannot_create));
    }
    const auto folder_of = [](const std::string& path) { return std::filesystem::path(path).parent_path().string(); };
    for (const std::string& other : {folder_of(config.path), folder_of(config.door), config.clients})
        if (is_same_folder(state, other))
            return fail(ExitCode::config, config.path + ": field \"state\": " + config.state +
                                              " holds the configuration or keys, and would be given to the user that " +
                                              "the daemon runs as; give it a folder of its own, such as " +
                                              default_state);
    return {};
}

Result<RuntimeFiles> RuntimeFiles::prepare(const DaemonConfig& config, const Identity& identity, bool without_table) {
    RuntimeFiles files;
    if (!without_table) {
        auto table = lock_table(config.firewall);
        if (!table) return tl::unexpected(table.error());
        files.table_lock = std::move(*table);
    }
    auto state = open_state(config);
    if (!state) return tl::unexpected(state.error());
    files.state = std::move(*state);
    auto lock = lock_state(config, files.state);
    if (!lock) return tl::unexpected(lock.error());
    files.state_lock = std::move(*lock);
    if (const auto given = hand_over_state(config, files.state, identity); !given) return tl::unexpected(given.error());
    auto control = make_control_socket(config, identity);
    if (!control) return tl::unexpected(control.error());
    files.control_socket = std::move(*control);
    return files;
}

}  // namespace oneknock

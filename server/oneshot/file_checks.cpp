#include "server/oneshot/file_checks.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/files.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

// The record is a megabyte or two, and as much again while it is written anew; the audit grows.
constexpr std::uint64_t little_space = 16ULL << 20;
constexpr std::uint64_t few_inodes = 16;

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MB"; }

// In words, what lets others change it; nothing if none can. What is not there is somebody else's finding.
std::optional<std::string> who_else_may_change(const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) return std::nullopt;
    if (info.st_uid != 0 && info.st_uid != geteuid())
        return path + " belongs to user " + std::to_string(info.st_uid) + ", who may change it";
    if ((info.st_mode & 022) != 0 && (info.st_mode & S_ISVTX) == 0) return path + " may be written by others";
    return std::nullopt;
}

Finding lacks_room(const std::string& state, const std::string& what) {
    return doubtful("state", state + ": " + what, "make room: without it knocks are refused as record-failed");
}

Finding check_room(const std::string& state) {
    struct statvfs room {};
    if (statvfs(state.c_str(), &room) != 0)
        return unseen("state", state + ": its file system cannot be looked at: " + std::strerror(errno),
                      "run it as root");
    if ((room.f_flag & ST_RDONLY) != 0)
        return doubtful("state", state + " is read-only", "mount it for writing, or choose another folder (\"state\")");
    const std::uint64_t free = std::uint64_t{room.f_bavail} * room.f_frsize;
    if (free < little_space) return lacks_room(state, "only " + megabytes(free) + " are free");
    if (room.f_files > 0 && room.f_favail < few_inodes)
        return lacks_room(state, "its file system has only " + std::to_string(room.f_favail) + " inodes left");
    return sound("state", state + ", " + megabytes(free) + " free");
}

}  // namespace

Finding check_owners(const DaemonConfig& config) {
    for (const std::string& path :
         {config.path, folder_of(config.path), config.door, folder_of(config.door), config.clients})
        if (const auto others = who_else_may_change(path))
            return doubtful("owners", *others,
                            "whoever can do that opens the door: chown root " + shell_word(path) + " && chmod go-w " +
                                shell_word(path));
    return sound("owners", "nobody else may change " + config.path + ", the door or its clients");
}

Finding check_door(const DaemonConfig& config, const Door& door) {
    const std::string services =
        join(door.services, [](const auto& named) { return named.first + " (" + named.second.text() + ")"; });
    return sound("door", config.door + ": door " + door.name + ", services " + services);
}

Finding check_clients(const std::vector<Client>& clients, UnixTime now) {
    const auto may_knock = [now](const Client& client) {
        return !client.revoked && !client.allow.empty() && (!client.expires || *client.expires > now);
    };
    const auto count = std::ranges::count_if(clients, may_knock);
    const std::string text = counted(clients.size(), "client") + ", " + std::to_string(count) + " may knock";
    if (count > 0) return sound("clients", text);
    return doubtful("clients", text, "nobody could open anything: oneknock-keygen add CLIENT --allow SERVICE -o FILE");
}

Finding check_state(const DaemonConfig& config, const Identity& identity) {
    struct stat info {};
    if (stat(config.state.c_str(), &info) != 0) {
        if (errno != ENOENT)
            return unseen("state", config.state + " cannot be looked at: " + std::strerror(errno), "run it as root");
        return sound("state", config.state + " is not there yet; the daemon makes it");
    }
    if (!S_ISDIR(info.st_mode))
        return doubtful("state", config.state + " is no folder", "move it away, or choose another one (\"state\")");
    if ((info.st_mode & 022) != 0)
        return doubtful("state", config.state + " may be written by others, who could bring used knocks back",
                        "chmod 700 " + shell_word(config.state));
    if (!identity.can_change && access(config.state.c_str(), W_OK | X_OK) != 0)
        return doubtful("state", config.state + " cannot be written by this user",
                        "give it to whoever runs the daemon, or choose another one (\"state\")");
    return check_room(config.state);
}

}  // namespace oneknock

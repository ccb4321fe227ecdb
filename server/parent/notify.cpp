#include "server/parent/notify.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/fd.hpp"
#include "common/log.hpp"

namespace oneknock {
namespace {

constexpr int longest_wait_ms = 5000;  // for room in the service manager's queue; it gives us longer than that

void cannot_tell(const std::string& why) {
    log::warning("the service manager cannot be told that the daemon is ready (NOTIFY_SOCKET): " + why);
}

Descriptor connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return {};
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path.front() == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    Descriptor fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return {};
    return fd;
}

}  // namespace

Descriptor connect_to_service_manager() {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || *path == '\0') return {};
    if (*path != '/' && *path != '@') {
        cannot_tell("it is neither a path nor the name of an abstract socket");
        return {};
    }
    Descriptor fd = connect_to(path);
    if (!fd) cannot_tell(std::strerror(errno));
    return fd;
}

void notify_ready(const Descriptor& service_manager) {
    constexpr std::string_view ready = "READY=1";
    if (!service_manager) return;
    pollfd room{service_manager.get(), POLLOUT, 0};
    poll(&room, 1, longest_wait_ms);
    if (send(service_manager.get(), ready.data(), ready.size(), MSG_NOSIGNAL) < 0) cannot_tell(std::strerror(errno));
}

}  // namespace oneknock

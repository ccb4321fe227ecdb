#include "server/parent/notify.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>

#include "common/fd.hpp"

namespace oneknock {

Descriptor connect_to_service_manager() {
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path == nullptr || (*path != '/' && *path != '@') || std::strlen(path) >= sizeof address.sun_path) return {};
    std::memcpy(address.sun_path, path, std::strlen(path));
    if (*path == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    Descriptor fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return {};
    return fd;
}

void notify_ready(const Descriptor& service_manager) {
    constexpr std::string_view ready = "READY=1";
    if (service_manager) send(service_manager.get(), ready.data(), ready.size(), MSG_NOSIGNAL);
}

}  // namespace oneknock

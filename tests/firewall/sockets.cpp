#include "tests/firewall/sockets.hpp"

#include <array>
#include <cerrno>
#include <stdexcept>
#include <vector>

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace oneknock::test {
namespace {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const Address& address, std::uint16_t port, const std::string& interface = {}) {
    SocketAddress result;
    if (address.family == Family::ipv4) {
        auto* in = reinterpret_cast<sockaddr_in*>(&result.storage);
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        std::copy(address.bytes.begin(), address.bytes.begin() + 4, reinterpret_cast<std::uint8_t*>(&in->sin_addr));
        result.length = sizeof *in;
    } else {
        auto* in = reinterpret_cast<sockaddr_in6*>(&result.storage);
        in->sin6_family = AF_INET6;
        in->sin6_port = htons(port);
        std::copy(address.bytes.begin(), address.bytes.end(), reinterpret_cast<std::uint8_t*>(&in->sin6_addr));
        in->sin6_scope_id = interface.empty() ? 0 : if_nametoindex(interface.c_str());
        result.length = sizeof *in;
    }
    return result;
}

Descriptor checked(int fd) {
    if (fd < 0) throw std::runtime_error("no socket");
    return Descriptor(fd);
}

void bind_to(const Descriptor& socket, const SocketAddress& address) {
    const int on = 1;
    (void)setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(socket.get(), address.get(), address.length) != 0) throw std::runtime_error("cannot bind");
}

bool wait_for(const Descriptor& socket, short events) {
    pollfd ready{socket.get(), events, 0};
    return poll(&ready, 1, static_cast<int>(patience.count())) == 1;
}

int domain(const Address& address) { return address.family == Family::ipv4 ? AF_INET : AF_INET6; }

}  // namespace

Descriptor listen_tcp(std::uint16_t port) {
    auto fd = checked(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    bind_to(fd, socket_address(Address::any(Family::ipv6), port));
    if (listen(fd.get(), SOMAXCONN) != 0) throw std::runtime_error("cannot listen");
    return fd;
}

Descriptor bind_udp(std::uint16_t port, Family family) {
    auto fd = checked(socket(domain(Address::any(family)), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    bind_to(fd, socket_address(Address::any(family), port));
    return fd;
}

Connection connect_tcp(const Address& to, std::uint16_t port, const Address& from, const std::string& interface) {
    Connection result{Port::silent, checked(socket(domain(to), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))};
    bind_to(result.socket, socket_address(from, 0, interface));
    const auto address = socket_address(to, port, interface);
    if (connect(result.socket.get(), address.get(), address.length) != 0 && errno != EINPROGRESS) {
        result.port = errno == ECONNREFUSED ? Port::refused : Port::silent;
        return result;
    }
    if (!wait_for(result.socket, POLLOUT)) return result;
    int error = 0;
    socklen_t length = sizeof error;
    (void)getsockopt(result.socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    result.port = error == 0 ? Port::open : error == ECONNREFUSED ? Port::refused : Port::silent;
    return result;
}

Descriptor accept_from(const Descriptor& listener) {
    (void)wait_for(listener, POLLIN);
    return checked(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

bool talk(const Descriptor& one, const Descriptor& other) {
    for (const auto* pair : {&one, &other}) {
        const Descriptor& back = pair == &one ? other : one;
        if (send(pair->get(), "hello\n", 6, MSG_NOSIGNAL) != 6 || !wait_for(back, POLLIN)) return false;
        std::array<char, 16> line{};
        if (recv(back.get(), line.data(), line.size(), 0) != 6) return false;
    }
    return true;
}

Descriptor udp_from(const Address& from) {
    auto fd = checked(socket(domain(from), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    bind_to(fd, socket_address(from, 0));
    return fd;
}

Descriptor udp_pretending(const Address& from, std::uint16_t port) {
    auto fd = checked(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (setsockopt(fd.get(), SOL_IPV6, IPV6_TRANSPARENT, &on, sizeof on) != 0)
        throw std::runtime_error("no pretending");
    bind_to(fd, socket_address(from, port));
    return fd;
}

void connect_udp(const Descriptor& socket, const Address& to, std::uint16_t port, const std::string& interface) {
    const auto address = socket_address(to, port, interface);
    if (connect(socket.get(), address.get(), address.length) != 0) throw std::runtime_error("cannot connect");
}

bool send_bytes(const Descriptor& socket, std::size_t length) {
    const std::vector<char> bytes(length, 'x');
    return send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(length);
}

long next_length(const Descriptor& socket) {
    if (!wait_for(socket, POLLIN)) return 0;
    std::vector<char> bytes(65536);
    return recv(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
}

bool echo_once(const Descriptor& server) {
    if (!wait_for(server, POLLIN)) return false;
    std::vector<char> bytes(65536);
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    auto* address = reinterpret_cast<sockaddr*>(&from);
    const auto got = recvfrom(server.get(), bytes.data(), bytes.size(), 0, address, &length);
    if (got < 0) return false;
    (void)sendto(server.get(), bytes.data(), static_cast<std::size_t>(got), 0, address, length);
    return true;
}

}  // namespace oneknock::test

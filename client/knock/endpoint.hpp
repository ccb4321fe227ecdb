// Addresses as the socket calls want them.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/socket.h>

#include "common/fd.hpp"
#include "common/protocol/address.hpp"
#include "common/result.hpp"

namespace oneknock {

// An address and, for IPv6 link-local ones, the interface it belongs to.
struct Endpoint {
    Address address;
    std::uint32_t scope = 0;  // interface index, else 0
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    SocketAddress() = default;
    SocketAddress(const Endpoint& endpoint, std::uint16_t port);
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// Nothing if it is of no IP family. An IPv4 address in IPv6 clothes comes back as the IPv4 address it is.
[[nodiscard]] std::optional<Endpoint> endpoint_of(const sockaddr* address);

// A non-blocking, close-on-exec socket; `type` is SOCK_DGRAM or SOCK_STREAM.
[[nodiscard]] Descriptor open_socket(Family family, int type);

// The local port of a bound socket, 0 on failure.
[[nodiscard]] std::uint16_t local_port(int fd);

// The address the kernel sends from to this destination. No packet is sent. No route: ExitCode::unavailable.
[[nodiscard]] Result<Endpoint> route_source(const Endpoint& destination);

// Whether the destination is in the network of the interface that has the local address: no router is between them.
// False if that cannot be found out.
[[nodiscard]] bool is_on_link(const Endpoint& local, const Endpoint& destination);

}  // namespace oneknock

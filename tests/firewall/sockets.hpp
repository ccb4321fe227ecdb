// Ordinary sockets for the tests: what a user's program would see of an open, closed or silent port.
#pragma once

#include <chrono>
#include <string>

#include "common/fd.hpp"
#include "common/protocol/address.hpp"

namespace oneknock::test {

enum class Port { open, refused, silent };

// How long silence is waited for.
inline constexpr std::chrono::milliseconds patience{250};

// On the wildcard address of this namespace; IPv6 sockets serve both families, but for IPv4 multicasts.
[[nodiscard]] Descriptor listen_tcp(std::uint16_t port);
[[nodiscard]] Descriptor bind_udp(std::uint16_t port, Family family = Family::ipv6);

struct Connection {
    Port port = Port::silent;
    Descriptor socket;
};
// From this source address. A link-local address needs the interface.
[[nodiscard]] Connection connect_tcp(const Address& to, std::uint16_t port, const Address& from,
                                     const std::string& interface = {});

// Whether a line written at one end arrives at the other, both ways.
[[nodiscard]] bool talk(const Descriptor& one, const Descriptor& other);
[[nodiscard]] Descriptor accept_from(const Descriptor& listener);

// A datagram, and what came of it at its sender.
[[nodiscard]] Descriptor udp_from(const Address& from);
[[nodiscard]] Descriptor udp_pretending(const Address& from, std::uint16_t port);  // an address that is not ours
void connect_udp(const Descriptor& socket, const Address& to, std::uint16_t port, const std::string& interface = {});
[[nodiscard]] bool send_bytes(const Descriptor& socket, std::size_t length);
// The length of the next datagram, 0 for none, -1 if the port was reported unreachable.
[[nodiscard]] long next_length(const Descriptor& socket);
[[nodiscard]] bool echo_once(const Descriptor& server);  // false: nothing came

}  // namespace oneknock::test

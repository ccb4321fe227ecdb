// TCP segments with every field of their IP header chosen, sent as frames on an interface: what a scanner or forger at
// the link can send, and what answers it gets, byte by byte.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "common/fd.hpp"
#include "common/protocol/address.hpp"
#include "tests/firewall/raw_packets.hpp"

namespace oneknock::test {

struct Probe {
    Address from;
    Address to;
    std::uint16_t source_port = 0;
    std::uint16_t port = 0;
    std::uint8_t flags = syn;
    std::uint8_t traffic_class = 0;  // IPv4: type of service
    Segment between = {};            // IPv4: options; IPv6: extension headers, up to the TCP header
    std::uint8_t between_kind = 0;   // IPv6: of the first extension header
    Segment options = {};            // of TCP
};

using LinkAddress = std::array<std::uint8_t, 6>;
inline constexpr LinkAddress link_broadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
[[nodiscard]] LinkAddress link_address(const std::string& interface);  // of this namespace

// An interface of the namespace it is opened in.
class Link {
public:
    explicit Link(const std::string& interface);
    void send(const Probe& probe, const LinkAddress& to) const;
    // The first packet that arrives here with a TCP segment for this port.
    [[nodiscard]] std::optional<Segment> answer(Family family, std::uint16_t port) const;

private:
    int index_;
    Descriptor socket_;
};

// Of such an answer.
[[nodiscard]] std::uint8_t flags_of(const Segment& packet);
// Without what must differ between two ports: ports, checksums, and an IPv6 flow label's value but not its presence.
[[nodiscard]] Segment comparable(Segment packet);

}  // namespace oneknock::test

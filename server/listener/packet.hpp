// From captured bytes to source and ports (docs/protocol.md, "Receiving", step 1). Pure: hostile bytes in, a value out.
#pragma once

#include <cstdint>
#include <optional>

#include "common/bytes.hpp"
#include "common/protocol/address.hpp"

namespace oneknock {

enum class LinkLayer : std::uint8_t {
    ethernet,    // with any number up to two of VLAN tags, and perhaps a PPPoE session within
    cooked,      // LINKTYPE_LINUX_SLL
    cooked_v2,   // LINKTYPE_LINUX_SLL2
    raw,         // an IP packet and nothing else: tun, some ppp
    null_family  // a 4-byte address family in the capturing host's order, or big-endian: BSD loopback captures
};

struct Packet {
    Address source;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
};

// The packet, if it can carry a symbol: unicast to this host as far as the link layer tells, no later fragment, no
// IPv6 extension header but an atomic fragment header, and either TCP with SYN set and ACK, RST and FIN clear, or UDP
// with at most 8 bytes of payload. Checksums are not looked at. `captured` may be cut short behind the ports.
[[nodiscard]] std::optional<Packet> parse_packet(LinkLayer link, ByteSpan captured);

// The index of the interface in a cooked_v2 header; 0 if there is none.
[[nodiscard]] std::uint32_t interface_of(LinkLayer link, ByteSpan captured);

}  // namespace oneknock

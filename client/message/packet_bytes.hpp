// The packets of a knock as bytes, as the kernel would send them: for files only, nothing is sent from here. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "common/protocol/address.hpp"

namespace oneknock {

struct PacketEnds {
    Address source;
    Address destination;  // of the source's family
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
};

// An IP packet with correct checksums: an empty UDP datagram, or a TCP SYN with this sequence number.
[[nodiscard]] std::vector<std::uint8_t> udp_packet(const PacketEnds& ends);
[[nodiscard]] std::vector<std::uint8_t> syn_packet(const PacketEnds& ends, std::uint32_t sequence);

// RFC 1071, over any number of bytes; an odd one is padded with zero.
[[nodiscard]] std::uint16_t internet_checksum(ByteSpan bytes);

}  // namespace oneknock

#include "client/message/packet_bytes.hpp"

#include <algorithm>

namespace oneknock {
namespace {

using Buffer = std::vector<std::uint8_t>;

constexpr std::size_t ipv4_header = 20;
constexpr std::size_t udp_header = 8;
constexpr std::size_t tcp_header = 20;
constexpr std::uint8_t hops = 64;

void append(Buffer& to, ByteSpan bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

Buffer ip_header(const PacketEnds& ends, std::uint8_t protocol, std::size_t payload) {
    if (ends.source.family == Family::ipv4) {
        Buffer header(12);
        header[0] = 0x45;  // version 4, 5 words
        store_u16be(&header[2], static_cast<std::uint16_t>(ipv4_header + payload));
        header[6] = 0x40;  // do not fragment, as Linux sends it
        header[8] = hops;
        header[9] = protocol;
        append(header, ends.source.span());
        append(header, ends.destination.span());
        store_u16be(&header[10], internet_checksum(header));
        return header;
    }
    Buffer header(8);
    header[0] = 0x60;
    store_u16be(&header[4], static_cast<std::uint16_t>(payload));
    header[6] = protocol;
    header[7] = hops;
    append(header, ends.source.span());
    append(header, ends.destination.span());
    return header;
}

// The checksum of UDP and TCP covers a pseudo header: RFC 768, RFC 9293, RFC 8200 section 8.1. Its fields add up to
// the same sum whichever width they have.
std::uint16_t transport_checksum(const PacketEnds& ends, std::uint8_t protocol, const Buffer& segment) {
    Buffer covered;
    append(covered, ends.source.span());
    append(covered, ends.destination.span());
    const Bytes<4> rest{0, protocol, static_cast<std::uint8_t>(segment.size() >> 8),
                        static_cast<std::uint8_t>(segment.size())};
    append(covered, rest);
    append(covered, segment);
    return internet_checksum(covered);
}

Buffer packet(const PacketEnds& ends, std::uint8_t protocol, const Buffer& segment) {
    Buffer whole = ip_header(ends, protocol, segment.size());
    append(whole, segment);
    return whole;
}

void store_ports(Buffer& segment, const PacketEnds& ends) {
    store_u16be(&segment[0], ends.source_port);
    store_u16be(&segment[2], ends.destination_port);
}

}  // namespace

std::uint16_t internet_checksum(ByteSpan bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

std::vector<std::uint8_t> udp_packet(const PacketEnds& ends) {
    Buffer segment(udp_header);
    store_ports(segment, ends);
    store_u16be(&segment[4], udp_header);
    const std::uint16_t checksum = transport_checksum(ends, protocol_udp, segment);
    store_u16be(&segment[6], checksum == 0 ? 0xffff : checksum);  // zero would mean "none"
    return packet(ends, protocol_udp, segment);
}

std::vector<std::uint8_t> syn_packet(const PacketEnds& ends, std::uint32_t sequence) {
    Buffer segment(tcp_header);
    store_ports(segment, ends);
    store_u32be(&segment[4], sequence);
    segment[12] = 5 << 4;              // 5 words
    segment[13] = 0x02;                // SYN
    store_u16be(&segment[14], 64240);  // the window Linux offers first
    store_u16be(&segment[16], transport_checksum(ends, protocol_tcp, segment));
    return packet(ends, protocol_tcp, segment);
}

}  // namespace oneknock

#include "server/listener/packet.hpp"

#include <algorithm>

#include "common/protocol.hpp"

namespace oneknock {
namespace {

constexpr std::uint16_t ethertype_ipv4 = 0x0800;
constexpr std::uint16_t ethertype_ipv6 = 0x86dd;
constexpr std::uint16_t ethertype_vlan = 0x8100;     // 802.1Q
constexpr std::uint16_t ethertype_service = 0x88a8;  // 802.1ad
constexpr int most_vlan_tags = 2;
constexpr std::uint8_t header_fragment = 44;
constexpr std::uint8_t packet_host = 0;  // PACKET_HOST of packet(7): to us, unicast

constexpr std::uint8_t tcp_fin = 0x01, tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10;

// Eats fields from a packet; every read checks what is left.
class Reader {
public:
    explicit Reader(ByteSpan bytes) : rest_(bytes) {}

    // The next `size` bytes, or nothing for good.
    std::optional<ByteSpan> take(std::size_t size) {
        if (rest_.size() < size) return std::nullopt;
        const ByteSpan taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    [[nodiscard]] ByteSpan rest() const { return rest_; }

private:
    ByteSpan rest_;
};

std::optional<Packet> parse_transport(std::uint8_t protocol, ByteSpan bytes, Family family, ByteSpan source) {
    if (protocol == protocol_tcp) {
        if (bytes.size() < 14) return std::nullopt;
        constexpr std::uint8_t looked_at = tcp_syn | tcp_ack | tcp_rst | tcp_fin;
        if ((bytes[13] & looked_at) != tcp_syn) return std::nullopt;
    } else if (protocol == protocol_udp) {
        constexpr std::size_t header = 8;
        if (bytes.size() < header) return std::nullopt;
        const std::size_t length = load_u16be(&bytes[4]);
        if (length < header || length > header + longest_udp_payload) return std::nullopt;
    } else {
        return std::nullopt;
    }
    Packet packet{Address::any(family), load_u16be(&bytes[0]), load_u16be(&bytes[2])};
    std::ranges::copy(source, packet.source.bytes.begin());
    return packet;
}

std::optional<Packet> parse_ipv4(ByteSpan bytes) {
    Reader reader(bytes);
    const auto header = reader.take(20);
    if (!header) return std::nullopt;
    const std::size_t header_length = ((*header)[0] & 0x0fU) * 4U;
    if ((*header)[0] >> 4 != 4 || header_length < 20 || !reader.take(header_length - 20)) return std::nullopt;
    if ((load_u16be(&(*header)[6]) & 0x1fff) != 0) return std::nullopt;  // a later fragment
    const bool to_many = (*header)[16] >> 4 == 0xe || load_u32be(&(*header)[16]) == 0xffffffff;  // 224.0.0.0/4, broadcast
    if (to_many) return std::nullopt;
    return parse_transport((*header)[9], reader.rest(), Family::ipv4, header->subspan(12, 4));
}

std::optional<Packet> parse_ipv6(ByteSpan bytes) {
    Reader reader(bytes);
    const auto header = reader.take(40);
    if (!header || (*header)[0] >> 4 != 6) return std::nullopt;
    std::uint8_t next = (*header)[6];
    if (next == header_fragment) {
        const auto fragment = reader.take(8);
        constexpr std::uint16_t offset_and_more = 0xfff9;
        if (!fragment || (load_u16be(&(*fragment)[2]) & offset_and_more) != 0) return std::nullopt;  // not atomic
        next = (*fragment)[0];
    }
    if ((*header)[24] == 0xff) return std::nullopt;  // ff00::/8
    return parse_transport(next, reader.rest(), Family::ipv6, header->subspan(8, 16));
}

std::optional<Packet> parse_ethertype(std::uint16_t type, Reader reader) {
    for (int tags = 0; type == ethertype_vlan || type == ethertype_service; ++tags) {
        const auto tag = reader.take(4);
        if (!tag || tags == most_vlan_tags) return std::nullopt;
        type = load_u16be(&(*tag)[2]);
    }
    if (type == ethertype_ipv4) return parse_ipv4(reader.rest());
    if (type == ethertype_ipv6) return parse_ipv6(reader.rest());
    return std::nullopt;
}

std::optional<Packet> parse_ethernet(Reader reader) {
    const auto header = reader.take(14);
    if (!header || ((*header)[0] & 1) != 0) return std::nullopt;  // group address
    return parse_ethertype(load_u16be(&(*header)[12]), reader);
}

std::optional<Packet> parse_cooked(Reader reader) {
    const auto header = reader.take(16);
    if (!header || load_u16be(&(*header)[0]) != packet_host) return std::nullopt;
    return parse_ethertype(load_u16be(&(*header)[14]), reader);
}

std::optional<Packet> parse_cooked_v2(Reader reader) {
    const auto header = reader.take(20);
    if (!header || (*header)[10] != packet_host) return std::nullopt;
    return parse_ethertype(load_u16be(&(*header)[0]), reader);
}

std::optional<Packet> parse_raw(ByteSpan bytes) {
    if (bytes.empty()) return std::nullopt;
    return bytes[0] >> 4 == 6 ? parse_ipv6(bytes) : parse_ipv4(bytes);
}

}  // namespace

std::optional<Packet> parse_packet(LinkLayer link, ByteSpan captured) {
    switch (link) {
        case LinkLayer::ethernet: return parse_ethernet(Reader(captured));
        case LinkLayer::cooked: return parse_cooked(Reader(captured));
        case LinkLayer::cooked_v2: return parse_cooked_v2(Reader(captured));
        case LinkLayer::raw: return parse_raw(captured);
        case LinkLayer::null_family: return captured.size() < 4 ? std::nullopt : parse_raw(captured.subspan(4));
    }
    return std::nullopt;
}

std::uint32_t interface_of(LinkLayer link, ByteSpan captured) {
    return link == LinkLayer::cooked_v2 && captured.size() >= 8 ? load_u32be(&captured[4]) : 0;
}

}  // namespace oneknock

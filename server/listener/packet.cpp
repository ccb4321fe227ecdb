#include "server/listener/packet.hpp"

#include <algorithm>

#include "common/protocol/constants.hpp"

namespace oneknock {
namespace {

constexpr std::uint16_t ethertype_ipv4 = 0x0800;
constexpr std::uint16_t ethertype_ipv6 = 0x86dd;
constexpr std::uint16_t ethertype_vlan = 0x8100;     // 802.1Q
constexpr std::uint16_t ethertype_service = 0x88a8;  // 802.1ad
constexpr std::uint16_t ethertype_pppoe = 0x8864;    // of a session, RFC 2516
constexpr std::uint16_t ppp_ipv4 = 0x0021, ppp_ipv6 = 0x0057;
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

// The parsers below fill `packet` in place and tell whether it is one that counts.

bool parse_transport(std::uint8_t protocol, ByteSpan bytes, Packet& packet) {
    if (protocol == protocol_tcp) {
        if (bytes.size() < 14) return false;
        constexpr std::uint8_t looked_at = tcp_syn | tcp_ack | tcp_rst | tcp_fin;
        if ((bytes[13] & looked_at) != tcp_syn) return false;
    } else if (protocol == protocol_udp) {
        constexpr std::size_t header = 8;
        if (bytes.size() < header) return false;
        const std::size_t length = load_u16be(&bytes[4]);
        if (length < header || length > header + longest_udp_payload) return false;
    } else {
        return false;
    }
    packet.source_port = load_u16be(&bytes[0]);
    packet.destination_port = load_u16be(&bytes[2]);
    return true;
}

bool parse_ipv4(ByteSpan bytes, Packet& packet) {
    Reader reader(bytes);
    const auto header = reader.take(20);
    if (!header) return false;
    const std::size_t header_length = ((*header)[0] & 0x0fU) * 4U;
    if ((*header)[0] >> 4 != 4 || header_length < 20 || !reader.take(header_length - 20)) return false;
    if ((load_u16be(&(*header)[6]) & 0x1fff) != 0) return false;  // a later fragment
    const bool to_many =
        (*header)[16] >> 4 == 0xe || load_u32be(&(*header)[16]) == 0xffffffff;  // 224.0.0.0/4, broadcast
    if (to_many) return false;
    packet.source.family = Family::ipv4;
    std::copy_n(&(*header)[12], 4, packet.source.bytes.begin());
    return parse_transport((*header)[9], reader.rest(), packet);
}

bool parse_ipv6(ByteSpan bytes, Packet& packet) {
    Reader reader(bytes);
    const auto header = reader.take(40);
    if (!header || (*header)[0] >> 4 != 6) return false;
    std::uint8_t next = (*header)[6];
    if (next == header_fragment) {
        const auto fragment = reader.take(8);
        constexpr std::uint16_t offset_and_more = 0xfff9;
        if (!fragment || (load_u16be(&(*fragment)[2]) & offset_and_more) != 0) return false;  // not atomic
        next = (*fragment)[0];
    }
    if ((*header)[24] == 0xff) return false;  // ff00::/8
    packet.source.family = Family::ipv6;
    std::copy_n(&(*header)[8], 16, packet.source.bytes.begin());
    return parse_transport(next, reader.rest(), packet);
}

bool parse_ethertype(std::uint16_t type, Reader reader, Packet& packet) {
    for (int tags = 0; type == ethertype_vlan || type == ethertype_service; ++tags) {
        const auto tag = reader.take(4);
        if (!tag || tags == most_vlan_tags) return false;
        type = load_u16be(&(*tag)[2]);
    }
    if (type == ethertype_pppoe) {
        const auto header = reader.take(8);  // six bytes of PPPoE, and the protocol of PPP
        if (!header || load_u16be(header->data()) != 0x1100) return false;
        const std::uint16_t protocol = load_u16be(&(*header)[6]);
        type = protocol == ppp_ipv4 ? ethertype_ipv4 : protocol == ppp_ipv6 ? ethertype_ipv6 : type;
    }
    if (type == ethertype_ipv4) return parse_ipv4(reader.rest(), packet);
    if (type == ethertype_ipv6) return parse_ipv6(reader.rest(), packet);
    return false;
}

bool parse_ethernet(Reader reader, Packet& packet) {
    const auto header = reader.take(14);
    if (!header || ((*header)[0] & 1) != 0) return false;  // group address
    return parse_ethertype(load_u16be(&(*header)[12]), reader, packet);
}

bool parse_cooked(Reader reader, Packet& packet) {
    const auto header = reader.take(16);
    if (!header || load_u16be(&(*header)[0]) != packet_host) return false;
    return parse_ethertype(load_u16be(&(*header)[14]), reader, packet);
}

bool parse_cooked_v2(Reader reader, Packet& packet) {
    const auto header = reader.take(20);
    if (!header || (*header)[10] != packet_host) return false;
    return parse_ethertype(load_u16be(&(*header)[0]), reader, packet);
}

bool parse_raw(ByteSpan bytes, Packet& packet) {
    if (bytes.empty()) return false;
    return bytes[0] >> 4 == 6 ? parse_ipv6(bytes, packet) : parse_ipv4(bytes, packet);
}

bool parse(LinkLayer link, ByteSpan captured, Packet& packet) {
    switch (link) {
        case LinkLayer::ethernet: return parse_ethernet(Reader(captured), packet);
        case LinkLayer::cooked: return parse_cooked(Reader(captured), packet);
        case LinkLayer::cooked_v2: return parse_cooked_v2(Reader(captured), packet);
        case LinkLayer::raw: return parse_raw(captured, packet);
        case LinkLayer::null_family: return captured.size() >= 4 && parse_raw(captured.subspan(4), packet);
    }
    return false;
}

}  // namespace

std::optional<Packet> parse_packet(LinkLayer link, ByteSpan captured) {
    std::optional<Packet> packet(std::in_place);
    if (!parse(link, captured, *packet)) packet.reset();
    return packet;
}

std::uint32_t interface_of(LinkLayer link, ByteSpan captured) {
    return link == LinkLayer::cooked_v2 && captured.size() >= 8 ? load_u32be(&captured[4]) : 0;
}

}  // namespace oneknock

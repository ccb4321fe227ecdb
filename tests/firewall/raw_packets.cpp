#include "tests/firewall/raw_packets.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"

namespace oneknock::test {
namespace {

Address from(Family family) { return family == Family::ipv4 ? client4 : client6; }
Address to(Family family) { return family == Family::ipv4 ? server4 : server6; }

void append(Segment& to_end, ByteSpan bytes) { to_end.insert(to_end.end(), bytes.begin(), bytes.end()); }

std::uint16_t checksum(const Segment& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += load_u16be(&bytes[i]);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

void put_checksum(const Address& source, const Address& destination, Segment& segment) {
    Segment pseudo;
    append(pseudo, source.span());
    append(pseudo, destination.span());
    append(pseudo, Segment{0, 0, 0, static_cast<std::uint8_t>(segment.size()), 0, 0, 0, protocol_tcp});
    append(pseudo, segment);
    store_u16be(&segment[16], checksum(pseudo));
}

Segment ipv4_packet(const Segment& payload, const RawTcp::Fragment& fragment) {
    Segment packet(20);
    packet[0] = 0x45;
    store_u16be(&packet[2], static_cast<std::uint16_t>(20 + payload.size()));
    store_u16be(&packet[4], fragment.id);
    store_u16be(&packet[6], static_cast<std::uint16_t>((fragment.more ? 0x2000 : 0) | fragment.offset / 8));
    packet[8] = 64;
    packet[9] = protocol_tcp;
    std::ranges::copy(from(Family::ipv4).span(), packet.begin() + 12);
    std::ranges::copy(to(Family::ipv4).span(), packet.begin() + 16);
    append(packet, payload);
    return packet;
}

Segment ipv6_packet(const Segment& payload, const RawTcp::Fragment& fragment) {
    const bool is_whole = fragment.offset == 0 && !fragment.more;
    Segment packet(is_whole ? 40 : 48);
    packet[0] = 0x60;
    store_u16be(&packet[4], static_cast<std::uint16_t>(payload.size() + packet.size() - 40));
    packet[6] = is_whole ? fragment.begins_with : std::uint8_t{IPPROTO_FRAGMENT};
    packet[7] = 64;
    std::ranges::copy(from(Family::ipv6).span(), packet.begin() + 8);
    std::ranges::copy(to(Family::ipv6).span(), packet.begin() + 24);
    if (!is_whole) {
        packet[40] = fragment.begins_with;
        store_u16be(&packet[42], static_cast<std::uint16_t>(fragment.offset | (fragment.more ? 1 : 0)));
        store_u32be(&packet[44], fragment.id);
    }
    append(packet, payload);
    return packet;
}

}  // namespace

Segment tcp_segment(Family family, std::uint16_t source_port, std::uint16_t port, std::uint8_t flags) {
    return tcp_segment(from(family), to(family), source_port, port, flags);
}

Segment tcp_segment(const Address& source, const Address& destination, std::uint16_t source_port, std::uint16_t port,
                    std::uint8_t flags, const Segment& options) {
    Segment segment(20);
    store_u16be(&segment[0], source_port);
    store_u16be(&segment[2], port);
    store_u32be(&segment[4], 1000);
    if ((flags & ack) != 0) store_u32be(&segment[8], 2000);
    append(segment, options);
    segment[12] = static_cast<std::uint8_t>(segment.size() / 4 << 4);
    segment[13] = flags;
    store_u16be(&segment[14], 1024);
    put_checksum(source, destination, segment);
    return segment;
}

RawTcp::RawTcp(Family family)
    : family_(family),
      sender_(socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)),
      receiver_(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(family == Family::ipv4 ? ETH_P_IP : ETH_P_IPV6))) {
    if (!sender_ || !receiver_) throw std::runtime_error("no raw sockets");
    const int on = 1;
    if (family == Family::ipv6) (void)setsockopt(sender_.get(), IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof on);
}

void RawTcp::send(const Segment& payload, const Fragment& fragment) const {
    const bool ipv4 = family_ == Family::ipv4;
    const Segment packet = ipv4 ? ipv4_packet(payload, fragment) : ipv6_packet(payload, fragment);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    std::ranges::copy(server4.span(), reinterpret_cast<std::uint8_t*>(&in.sin_addr));
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    std::ranges::copy(server6.span(), reinterpret_cast<std::uint8_t*>(&in6.sin6_addr));
    const auto* address = ipv4 ? reinterpret_cast<sockaddr*>(&in) : reinterpret_cast<sockaddr*>(&in6);
    const socklen_t length = ipv4 ? sizeof in : sizeof in6;
    if (sendto(sender_.get(), packet.data(), packet.size(), 0, address, length) < 0)
        throw std::runtime_error("cannot send a raw packet");
}

void RawTcp::send_whole(const Segment& segment) const { send(segment, {.id = 1}); }

void RawTcp::send_fragments(const Segment& segment, std::size_t first, std::uint8_t begins_with) const {
    static std::uint16_t id = 0;
    ++id;
    const auto cut = segment.begin() + static_cast<std::ptrdiff_t>(first);
    send(Segment(segment.begin(), cut), {.id = id, .more = true, .begins_with = begins_with});
    send(Segment(cut, segment.end()),
         {.id = id, .offset = static_cast<std::uint16_t>(first), .begins_with = begins_with});
}

std::optional<std::uint8_t> RawTcp::answer(std::uint16_t source_port) const {
    const std::size_t head = family_ == Family::ipv4 ? 20 : 40;
    const auto protocol_at = family_ == Family::ipv4 ? 9U : 6U;
    pollfd ready{receiver_.get(), POLLIN, 0};
    while (poll(&ready, 1, static_cast<int>(patience.count())) == 1) {
        std::array<std::uint8_t, 2048> packet{};
        sockaddr_ll from_link{};
        socklen_t size = sizeof from_link;
        const auto got =
            recvfrom(receiver_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from_link), &size);
        if (got < static_cast<ssize_t>(head + 20) || from_link.sll_pkttype == PACKET_OUTGOING) continue;
        if (packet[protocol_at] == protocol_tcp && load_u16be(&packet[head + 2]) == source_port)
            return packet[head + 13];
    }
    return std::nullopt;
}

}  // namespace oneknock::test

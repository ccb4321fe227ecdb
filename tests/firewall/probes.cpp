#include "tests/firewall/probes.hpp"

#include <algorithm>
#include <stdexcept>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/firewall/sockets.hpp"

namespace oneknock::test {
namespace {

std::uint16_t internet_checksum(ByteSpan header) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i + 1 < header.size(); i += 2) sum += load_u16be(&header[i]);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

Segment ipv4_header(const Probe& probe, std::size_t payload) {
    Segment header(20);
    header.insert(header.end(), probe.between.begin(), probe.between.end());
    header[0] = static_cast<std::uint8_t>(0x40 | header.size() / 4);
    header[1] = probe.traffic_class;
    store_u16be(&header[2], static_cast<std::uint16_t>(header.size() + payload));
    store_u16be(&header[6], 0x4000);  // not to be fragmented, as connect(2) sends it
    header[8] = 64;
    header[9] = protocol_tcp;
    std::ranges::copy(probe.from.span(), header.begin() + 12);
    std::ranges::copy(probe.to.span(), header.begin() + 16);
    store_u16be(&header[10], internet_checksum(header));
    return header;
}

Segment ipv6_header(const Probe& probe, std::size_t payload) {
    Segment header(40);
    store_u16be(header.data(), static_cast<std::uint16_t>(0x6000 | probe.traffic_class << 4));
    store_u16be(&header[4], static_cast<std::uint16_t>(probe.between.size() + payload));
    header[6] = probe.between.empty() ? protocol_tcp : probe.between_kind;
    header[7] = 64;
    std::ranges::copy(probe.from.span(), header.begin() + 8);
    std::ranges::copy(probe.to.span(), header.begin() + 24);
    header.insert(header.end(), probe.between.begin(), probe.between.end());
    return header;
}

bool is_ipv4(const Segment& packet) { return packet[0] >> 4 == 4; }
std::size_t tcp_at(const Segment& packet) { return is_ipv4(packet) ? std::size_t{packet[0] & 15U} * 4 : 40; }
bool is_tcp(const Segment& packet) {
    return packet.size() >= 40 && packet[is_ipv4(packet) ? 9 : 6] == protocol_tcp &&
           packet.size() >= tcp_at(packet) + 20;
}

}  // namespace

LinkAddress link_address(const std::string& interface) {
    const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    if (ioctl(any.get(), SIOCGIFHWADDR, &request) != 0) throw std::runtime_error("no interface " + interface);
    LinkAddress address;
    std::copy_n(request.ifr_hwaddr.sa_data, address.size(), address.begin());
    return address;
}

Link::Link(const std::string& interface)
    : index_(static_cast<int>(if_nametoindex(interface.c_str()))),
      socket_(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
    sockaddr_ll here{};
    here.sll_family = AF_PACKET;
    here.sll_protocol = htons(ETH_P_ALL);
    here.sll_ifindex = index_;
    if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0)
        throw std::runtime_error("cannot open " + interface);
}

void Link::send(const Probe& probe, const LinkAddress& to) const {
    const Segment segment =
        tcp_segment(probe.from, probe.to, probe.source_port, probe.port, probe.flags, probe.options);
    const bool ipv4 = probe.to.family == Family::ipv4;
    Segment packet = ipv4 ? ipv4_header(probe, segment.size()) : ipv6_header(probe, segment.size());
    packet.insert(packet.end(), segment.begin(), segment.end());
    sockaddr_ll there{};
    there.sll_family = AF_PACKET;
    there.sll_protocol = htons(ipv4 ? ETH_P_IP : ETH_P_IPV6);
    there.sll_ifindex = index_;
    there.sll_halen = ETH_ALEN;
    std::ranges::copy(to, there.sll_addr);
    const auto* address = reinterpret_cast<const sockaddr*>(&there);
    if (sendto(socket_.get(), packet.data(), packet.size(), 0, address, sizeof there) < 0)
        throw std::runtime_error("cannot send a frame");
}

std::optional<Segment> Link::answer(Family family, std::uint16_t port) const {
    pollfd ready{socket_.get(), POLLIN, 0};
    while (poll(&ready, 1, static_cast<int>(patience.count())) == 1) {
        Segment packet(2048);
        sockaddr_ll from{};
        socklen_t size = sizeof from;
        const auto got =
            recvfrom(socket_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
        if (got <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
        packet.resize(static_cast<std::size_t>(got));
        const bool wanted = (packet[0] >> 4 == 4) == (family == Family::ipv4) && is_tcp(packet);
        if (wanted && load_u16be(&packet[tcp_at(packet) + 2]) == port) return packet;
    }
    return std::nullopt;
}

std::uint8_t flags_of(const Segment& packet) { return packet[tcp_at(packet) + 13]; }

Segment comparable(Segment packet) {
    const std::size_t tcp = tcp_at(packet);
    store_u32be(&packet[tcp], 0);       // ports
    store_u16be(&packet[tcp + 16], 0);  // checksum
    if (is_ipv4(packet)) {
        store_u16be(&packet[10], 0);  // checksum
        return packet;
    }
    const bool labelled = (packet[1] & 0x0f) != 0 || load_u16be(&packet[2]) != 0;
    packet[1] = static_cast<std::uint8_t>((packet[1] & 0xf0) | (labelled ? 1 : 0));
    store_u16be(&packet[2], 0);
    return packet;
}

}  // namespace oneknock::test

// Captured bytes of every link type at the listener's parser, beside the filter that the kernel runs before it.
#include "server/listener/packet.hpp"

#include <memory>

#include <pcap/pcap.h>

#include "client/message/packet_bytes.hpp"
#include "server/listener/packet_filter.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

bpf_program* installed;

}  // namespace

// In the place of libpcap's: keeps the program.
extern "C" int __wrap_pcap_setfilter(pcap_t*, bpf_program* program) {
    std::swap(*installed, *program);
    return 0;
}

namespace oneknock::fuzz {
namespace {

constexpr LinkLayer links[] = {LinkLayer::ethernet, LinkLayer::cooked, LinkLayer::cooked_v2, LinkLayer::raw,
                               LinkLayer::null_family};

struct Filter {
    bpf_program program{};

    Filter(LinkLayer link, int type) {
        const std::unique_ptr<pcap_t, decltype(&pcap_close)> capture(pcap_open_dead(type, 65535), pcap_close);
        installed = &program;
        HOLDS(set_packet_filter(capture.get(), link).has_value());
    }
    [[nodiscard]] bool passes(ByteSpan bytes) const {
        pcap_pkthdr header{};
        header.caplen = header.len = static_cast<bpf_u_int32>(bytes.size());
        return pcap_offline_filter(&program, &header, bytes.data()) != 0;
    }
};

// A session of PPPoE is for --read alone: a host that has one has an interface of PPP, on which its packets come again.
bool is_pppoe(ByteSpan ethernet) {
    std::size_t at = 12;
    while (load_u16be(&ethernet[at]) == 0x8100 || load_u16be(&ethernet[at]) == 0x88a8) at += 4;
    return load_u16be(&ethernet[at]) == 0x8864;
}

// The other filters know less than the parser: no tags, and no family in the other byte order.
bool filter_passes(LinkLayer link, ByteSpan bytes) {
    static const Filter ethernet(LinkLayer::ethernet, DLT_EN10MB), raw(LinkLayer::raw, DLT_RAW);
    if (link == LinkLayer::ethernet) return ethernet.passes(bytes) != is_pppoe(bytes);
    return link != LinkLayer::raw || raw.passes(bytes);
}

void parse(LinkLayer link, ByteSpan bytes) {
    static_cast<void>(interface_of(link, bytes));
    const auto packet = parse_packet(link, bytes);
    if (!packet) return;
    HOLDS(packet->source.is_canonical());
    HOLDS(filter_passes(link, bytes));
    Bytes longer(bytes.begin(), bytes.end());
    longer.resize(longer.size() + 9, 0xff);
    const auto again = parse_packet(link, longer);
    HOLDS(again && again->source == packet->source && again->destination_port == packet->destination_port);
}

Bytes header_of(LinkLayer link, Family family, unsigned tags) {
    Bytes header;
    const Bytes type = family == Family::ipv4 ? Bytes{0x08, 0x00} : Bytes{0x86, 0xdd};
    if (link == LinkLayer::ethernet) header.resize(12);
    if (link == LinkLayer::cooked) header.resize(14);
    if (link == LinkLayer::cooked_v2) {
        header = type;
        header.resize(20);
        return header;
    }
    if (link == LinkLayer::null_family) header.resize(4);
    if (link == LinkLayer::null_family || link == LinkLayer::raw) return header;
    while (tags-- > 0) append(header, Bytes{0x81, 0x00, 0x00, 0x07});
    append(header, type);
    return header;
}

// What the client sends is read as what it is.
void send_and_parse(LinkLayer link, Input input) {
    const Family family = input.flag() ? Family::ipv6 : Family::ipv4;
    PacketEnds ends{Address::any(family), Address::any(family)};
    const bool udp = input.flag();
    const unsigned tags = input.u8() % 3;
    ends.source_port = input.u16();
    ends.destination_port = input.u16();
    const std::size_t length = ends.source.length();
    input.fill(std::span(ends.source.bytes).first(length));
    input.fill(std::span(ends.destination.bytes).first(length));
    if (ends.destination.is_multicast()) ends.destination.bytes[0] = 1;
    Bytes bytes = header_of(link, family, tags);
    append(bytes, udp ? udp_packet(ends) : syn_packet(ends, input.u32()));
    const auto packet = parse_packet(link, bytes);
    HOLDS(packet && packet->source == ends.source);
    HOLDS(packet->source_port == ends.source_port && packet->destination_port == ends.destination_port);
    parse(link, bytes);
}

}  // namespace

void one_input(Input input) {
    const std::uint8_t choice = input.u8();
    const LinkLayer link = links[choice % std::size(links)];
    if (choice >= 0xf0) send_and_parse(link, input);
    else parse(link, input.rest());
}

std::vector<Bytes> seeds() {
    std::vector<Bytes> all{{0xf0}, {0xf1}, {0xf2}, {0xf3}, {0xf4}};
    const PacketEnds ipv4{*Address::parse("192.0.2.7"), *Address::parse("198.51.100.1"), 40000, 50000};
    const PacketEnds ipv6{*Address::parse("2001:db8::7"), *Address::parse("2001:db8::1"), 40000, 50000};
    for (std::uint8_t link = 0; link < std::size(links); ++link)
        for (const PacketEnds& ends : {ipv4, ipv6})
            for (unsigned tags = 0; tags < 3; ++tags)
                for (const Bytes& packet : {udp_packet(ends), syn_packet(ends, 7)}) {
                    Bytes seed{link};
                    append(seed, header_of(links[link], ends.source.family, tags));
                    append(seed, packet);
                    all.push_back(seed);
                }
    // Atomic fragment header.
    Bytes fragment{3}, inner = syn_packet(ipv6, 7);
    inner[6] = 44;
    append(fragment, ByteSpan(inner).first(40));
    append(fragment, Bytes{6, 0, 0, 0, 1, 2, 3, 4});
    append(fragment, ByteSpan(inner).subspan(40));
    all.push_back(fragment);
    return all;
}

}  // namespace oneknock::fuzz

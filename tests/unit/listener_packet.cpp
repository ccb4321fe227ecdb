#include "server/listener/packet.hpp"

#include <vector>

#include "common/secret.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

using Buffer = std::vector<std::uint8_t>;

Buffer behind(const Buffer& head, const Buffer& tail) {
    Buffer whole(head.size() + tail.size());
    std::copy(tail.begin(), tail.end(), std::copy(head.begin(), head.end(), whole.begin()));
    return whole;
}

Buffer ipv4(std::uint8_t protocol, const Buffer& payload, std::uint16_t fragment = 0, std::uint8_t words = 5) {
    Buffer p(words * 4U);
    p[0] = static_cast<std::uint8_t>(0x40 | words);
    p[9] = protocol;
    store_u16be(&p[6], fragment);
    p[12] = 192, p[13] = 0, p[14] = 2, p[15] = 7;
    p[16] = 192, p[17] = 0, p[18] = 2, p[19] = 1;
    return behind(p, payload);
}

Buffer ipv6(std::uint8_t next, const Buffer& payload) {
    Buffer p(40);
    p[0] = 0x60;
    p[6] = next;
    p[8] = 0x20, p[9] = 0x01, p[23] = 7;
    p[24] = 0x20, p[25] = 0x01, p[39] = 1;
    return behind(p, payload);
}

Buffer tcp(std::uint8_t flags) {
    Buffer p(20);
    store_u16be(&p[0], 4000);
    store_u16be(&p[2], 5000);
    p[13] = flags;
    return p;
}

Buffer udp(std::uint16_t payload) {
    Buffer p(8);
    store_u16be(&p[0], 4000);
    store_u16be(&p[2], 5000);
    store_u16be(&p[4], static_cast<std::uint16_t>(8 + payload));
    return p;
}

Buffer fragment_header(std::uint8_t next, std::uint16_t offset_and_more) {
    Buffer p(8);
    p[0] = next;
    store_u16be(&p[2], offset_and_more);
    return p;
}

bool counts(const Buffer& p) { return parse_packet(LinkLayer::raw, p).has_value(); }

}  // namespace

TEST_CASE("plain SYNs and short UDP datagrams count, and nothing else of TCP and UDP") {
    for (const bool six : {false, true}) {
        const auto wrap = [&](std::uint8_t protocol, const Buffer& b) {
            return six ? ipv6(protocol, b) : ipv4(protocol, b);
        };
        for (unsigned flags = 0; flags < 256; ++flags)
            CHECK(counts(wrap(6, tcp(static_cast<std::uint8_t>(flags)))) == ((flags & 0x17) == 0x02));
        CHECK(counts(wrap(17, udp(0))));
        CHECK(counts(wrap(17, udp(8))));
        CHECK_FALSE(counts(wrap(17, udp(9))));
        CHECK_FALSE(counts(wrap(1, udp(0))));
        CHECK_FALSE(counts(wrap(132, udp(0))));
    }
}

TEST_CASE("source and ports are read behind IPv4 options, an atomic fragment header and VLAN tags") {
    const Buffer plain = ipv4(6, tcp(2), 0, 15);
    Buffer ethernet(14);
    store_u16be(&ethernet[12], 0x0800);
    const Buffer tag{0x00, 0x05, 0x08, 0x00};
    Buffer tagged(14), twice(14);
    store_u16be(&tagged[12], 0x8100);
    store_u16be(&twice[12], 0x88a8);
    for (const auto& [link, bytes] :
         {std::pair{LinkLayer::raw, plain},
          {LinkLayer::ethernet, behind(ethernet, plain)},
          {LinkLayer::ethernet, behind(tagged, behind(tag, plain))},
          {LinkLayer::ethernet, behind(twice, behind({0, 7, 0x81, 0x00}, behind(tag, plain)))},
          {LinkLayer::null_family, behind({2, 0, 0, 0}, plain)}}) {
        const auto packet = parse_packet(link, bytes);
        REQUIRE(packet);
        CHECK(packet->source.text() == "192.0.2.7");
        CHECK(packet->source_port == 4000);
        CHECK(packet->destination_port == 5000);
    }
    const auto atomic = parse_packet(LinkLayer::raw, ipv6(44, behind(fragment_header(17, 0), udp(0))));
    REQUIRE(atomic);
    CHECK(atomic->source.text() == "2001::7");
}

TEST_CASE("cooked packets count only when they were sent to this host") {
    for (std::uint8_t type = 0; type < 5; ++type) {
        Buffer v1(16), v2(20);
        store_u16be(&v1[0], type);
        store_u16be(&v1[14], 0x0800);
        v2[10] = type;
        store_u16be(&v2[0], 0x0800);
        v2[7] = 9;
        CHECK(parse_packet(LinkLayer::cooked, behind(v1, ipv4(17, udp(0)))).has_value() == (type == 0));
        CHECK(parse_packet(LinkLayer::cooked_v2, behind(v2, ipv4(17, udp(0)))).has_value() == (type == 0));
        CHECK(interface_of(LinkLayer::cooked_v2, v2) == 9);
    }
}

TEST_CASE("fragments, extension headers, group addresses and truncated packets do not count") {
    CHECK(counts(ipv4(17, udp(0), 0x2000)));        // a first fragment
    CHECK_FALSE(counts(ipv4(17, udp(0), 0x0001)));  // a later one
    CHECK_FALSE(counts(ipv6(44, behind(fragment_header(17, 1), udp(0)))));
    CHECK_FALSE(counts(ipv6(44, behind(fragment_header(17, 8), udp(0)))));
    CHECK_FALSE(counts(ipv6(0, behind(Buffer(8), udp(0)))));
    CHECK_FALSE(counts(ipv6(44, behind(fragment_header(44, 0), behind(fragment_header(17, 0), udp(0))))));
    Buffer multicast = ipv4(17, udp(0));
    multicast[16] = 224;
    CHECK_FALSE(counts(multicast));
    Buffer group(14);
    group[0] = 1;
    store_u16be(&group[12], 0x0800);
    CHECK_FALSE(parse_packet(LinkLayer::ethernet, behind(group, ipv4(17, udp(0)))));
    for (const Buffer& whole : {ipv4(6, tcp(2)), ipv6(17, udp(0)), ipv4(17, udp(0), 0, 15)}) {
        const std::size_t needed = whole.size() - (whole[0] == 0x45 ? 6 : 0);
        for (std::size_t size = 0; size < needed; ++size)
            CHECK_FALSE(parse_packet(LinkLayer::raw, ByteSpan(whole).first(size)));
    }
}

TEST_CASE("a million random and mutated packets are read without harm") {
    std::vector<std::uint8_t> bytes(96);
    const Buffer seeds[] = {ipv4(6, tcp(2)), ipv6(44, behind(fragment_header(17, 0), udp(0)))};
    std::uint64_t counted = 0;
    for (int i = 0; i < test::trials(1'000'000); ++i) {
        fill_random(bytes);
        const auto& seed = seeds[i % 2];
        if (i % 4 < 2) std::copy(seed.begin(), seed.end(), bytes.begin() + (i % 8 < 4 ? 0 : 14));
        if (i % 8 >= 4) bytes[12] = 8, bytes[13] = 0, bytes[0] = 0;
        for (int m = 0; m < 2; ++m) bytes[random_below(96)] = static_cast<std::uint8_t>(i);
        const std::size_t size = random_below(97);
        for (const LinkLayer link :
             {LinkLayer::ethernet, LinkLayer::cooked, LinkLayer::cooked_v2, LinkLayer::raw, LinkLayer::null_family})
            counted += parse_packet(link, ByteSpan(bytes).first(size)).has_value();
    }
    CHECK(counted > 1000);  // the mutations reach the depth of the parser
}

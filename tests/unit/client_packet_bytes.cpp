#include "client/message/packet_bytes.hpp"

#include <numeric>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

PacketEnds ends(const char* from, const char* to) { return {*Address::parse(from), *Address::parse(to), 50'000, 2000}; }

// The transport's checksum holds if the sum over pseudo header and segment is all ones.
bool transport_is_right(const std::vector<std::uint8_t>& packet, std::size_t header, std::uint8_t protocol) {
    const std::size_t addresses = header == 20 ? 8 : 32;
    std::vector<std::uint8_t> covered(packet.begin() + static_cast<std::ptrdiff_t>(header - addresses), packet.end());
    covered.insert(covered.end(), covered.size() % 2, 0);
    const auto length = static_cast<std::uint8_t>(packet.size() - header);
    covered.insert(covered.end(), {0, protocol, 0, length});
    return internet_checksum(covered) == 0;
}

}  // namespace

TEST_CASE("the checksum is that of RFC 1071") {
    const Bytes<8> sample{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};  // its section 3
    CHECK(internet_checksum(sample) == static_cast<std::uint16_t>(~0xddf2));
    CHECK(internet_checksum(Bytes<1>{0xff}) == 0x00ff);
}

TEST_CASE("an empty datagram over IPv4") {
    const auto packet = udp_packet(ends("192.0.2.7", "203.0.113.5"));
    REQUIRE(packet.size() == 28);
    CHECK(packet[0] == 0x45);
    CHECK(load_u16be(&packet[2]) == 28);
    CHECK(packet[9] == 17);
    CHECK(internet_checksum({packet.data(), 20}) == 0);
    CHECK(load_u32be(&packet[12]) == 0xc0000207);
    CHECK(load_u32be(&packet[16]) == 0xcb007105);
    CHECK(load_u16be(&packet[20]) == 50'000);
    CHECK(load_u16be(&packet[22]) == 2000);
    CHECK(load_u16be(&packet[24]) == 8);
    CHECK(transport_is_right(packet, 20, 17));
}

TEST_CASE("a SYN over IPv6") {
    const auto packet = syn_packet(ends("2001:db8::7", "2001:db8::5"), 0x01020304);
    REQUIRE(packet.size() == 60);
    CHECK(packet[0] == 0x60);
    CHECK(load_u16be(&packet[4]) == 20);
    CHECK(packet[6] == 6);
    CHECK(load_u16be(&packet[40]) == 50'000);
    CHECK(load_u16be(&packet[42]) == 2000);
    CHECK(load_u32be(&packet[44]) == 0x01020304);
    CHECK(packet[53] == 0x02);
    CHECK(transport_is_right(packet, 40, 6));
}

TEST_CASE("checksums hold for every port, and a datagram's is never zero") {
    PacketEnds all = ends("192.0.2.7", "203.0.113.5");
    std::size_t wrong = 0, zero = 0;
    for (unsigned port = 1; port <= 65535; ++port) {
        all.destination_port = static_cast<std::uint16_t>(port);
        const auto packet = udp_packet(all);
        if (!transport_is_right(packet, 20, 17)) ++wrong;
        if (load_u16be(&packet[26]) == 0) ++zero;
    }
    CHECK(wrong == 0);
    CHECK(zero == 0);
}

// What a scanner sees: a guarded port with a service behind it answers as a port without one.
#include "server/firewall/firewall.hpp"

#include <array>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/raw_packets.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

std::optional<std::uint8_t> probe(const TestNetwork& network, Family family, std::uint16_t port, std::uint8_t flags) {
    static std::uint16_t source_port = 40000;
    ++source_port;
    std::optional<std::uint8_t> answer;
    network.in_client([&] {
        const RawTcp raw(family);
        raw.send_whole(tcp_segment(family, source_port, port, flags));
        answer = raw.answer(source_port);
    });
    return answer;
}

}  // namespace

TEST_CASE("no combination of TCP flags tells a guarded service from an unused port") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    const auto family = GENERATE(Family::ipv4, Family::ipv6);
    const Firewall firewall = installed({}, {ssh});
    constexpr std::array<std::uint8_t, 10> probes{syn,       0,         fin, psh | fin | urg, syn | fin,
                                                  syn | psh, syn | ack, ack, fin | ack,       rst};
    for (const std::uint8_t flags : probes) {
        CAPTURE(static_cast<int>(flags));
        CHECK(probe(network, family, 22, flags) == probe(network, family, 23, flags));
    }
}

TEST_CASE("without the guard the same probes do tell them apart") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    CHECK(probe(network, Family::ipv4, 22, syn) == (syn | ack));
    CHECK(probe(network, Family::ipv4, 22, fin) != probe(network, Family::ipv4, 23, fin));
}

TEST_CASE("a granted address gets through with a plain SYN") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    Firewall firewall = installed({}, {ssh});
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(probe(network, Family::ipv4, 22, syn) == (syn | ack));
}

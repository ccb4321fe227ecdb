// Fragments: later ones have no ports and must pass for everyone else's sake, and no fragment may open a door.
#include "server/firewall/firewall.hpp"

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/raw_packets.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

constexpr std::size_t beyond_the_mtu = 4000;

// Whether a SYN in two fragments, the first with so many bytes, is answered with SYN and ACK.
bool opens_in_fragments(const TestNetwork& network, Family family, std::uint16_t port, std::size_t first) {
    static std::uint16_t source_port = 41000;
    ++source_port;  // and so the fragments' identification
    std::optional<std::uint8_t> answer;
    network.in_client([&] {
        const RawTcp raw(family);
        raw.send_fragments(tcp_segment(family, source_port, port, syn), first);
        answer = raw.answer(source_port);
    });
    return answer == (syn | ack);
}

bool arrives(const TestNetwork& network, const Address& to, const Address& from, const Descriptor& server,
             std::uint16_t port) {
    network.in_client([&] {
        const auto socket = udp_from(from);
        connect_udp(socket, to, port);
        REQUIRE(send_bytes(socket, beyond_the_mtu));
    });
    return next_length(server) == beyond_the_mtu;
}

}  // namespace

TEST_CASE("a SYN in tiny fragments does not slip past the guard") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22), other = listen_tcp(80);
    const Firewall firewall = installed({}, {ssh});
    for (const std::size_t first : {8U, 16U}) {  // ports without flags, ports and flags
        CAPTURE(first);
        CHECK(opens_in_fragments(network, Family::ipv4, 80, first));  // so the guard is what stops it
        CHECK_FALSE(opens_in_fragments(network, Family::ipv4, 22, first));
        CHECK_FALSE(opens_in_fragments(network, Family::ipv6, 22, first));
        // The kernel discards these IPv6 fragments (RFC 8200, 4.5); so there is no control.
    }
}

// Neither fragment shows a port, yet the kernel puts some of them together. A first fragment that ends inside the
// segment's own header it discards by itself.
TEST_CASE("a SYN behind extension headers that are spread over fragments does not slip past the guard") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    constexpr std::uint8_t routing = 43, destination_options = 60;
    const auto opens = [&](std::uint8_t first, std::uint8_t second, std::size_t cut) {
        static std::uint16_t source_port = 42000;
        const auto header = [](std::uint8_t kind, std::uint8_t next) {  // 8 bytes that ask for nothing
            return kind == routing ? Segment{next, 0, 0, 0, 0, 0, 0, 0} : Segment{next, 0, 1, 4, 0, 0, 0, 0};
        };
        Segment all = header(first, second);
        for (const auto& part : {header(second, protocol_tcp), tcp_segment(Family::ipv6, ++source_port, ssh.port, syn)})
            all.insert(all.end(), part.begin(), part.end());
        std::optional<std::uint8_t> answer;
        network.in_client([&] {
            const RawTcp raw(Family::ipv6);
            raw.send_fragments(all, cut, first);
            answer = raw.answer(source_port);
        });
        return answer == (syn | ack);
    };
    CHECK(opens(destination_options, destination_options, 8));
    const Firewall firewall = installed({}, {ssh});
    for (const auto& [first, second] : {std::pair{destination_options, destination_options},
                                        {destination_options, routing},
                                        {routing, destination_options}})
        for (const std::size_t cut : {8U, 16U, 24U}) {
            CAPTURE(first, second, cut);
            CHECK_FALSE(opens(first, second, cut));
        }
}

TEST_CASE("large datagrams reach other ports whole, a closed service not, a granted one again") {
    const TestNetwork network;
    const auto other = bind_udp(5000), service = bind_udp(vpn.port);
    Firewall firewall = installed(dropping(), {vpn});
    for (const auto& [to, from] : {std::pair{server4, client4}, {server6, client6}}) {
        CAPTURE(to.text());
        CHECK(arrives(network, to, from, other, 5000));
        CHECK_FALSE(arrives(network, to, from, service, vpn.port));
        REQUIRE(firewall.open_grant(vpn, from, Seconds{30}, now()) == 0);
        CHECK(arrives(network, to, from, service, vpn.port));
    }
}

// nf_tables of Linux 6.18 takes its third and fourth byte for a port.
TEST_CASE("a later fragment passes, whatever is in it") {
    const TestNetwork network;
    const Service looks_like_it{protocol_tcp, 2000};  // the number that the segment acknowledges
    const Firewall firewall = installed({}, {looks_like_it});
    network.in_client([] {
        const RawTcp raw(Family::ipv4);
        raw.send_fragments(tcp_segment(Family::ipv4, 43000, 80, ack), 8);
        CHECK(raw.answer(43000) == rst);
    });
}

TEST_CASE("without UDP services, where nothing reassembles before the guard, other ports' datagrams arrive whole") {
    const TestNetwork network;
    const auto other = bind_udp(5000);
    const Firewall firewall = installed({}, {ssh});
    CHECK(arrives(network, server4, client4, other, 5000));
    CHECK(arrives(network, server6, client6, other, 5000));
}

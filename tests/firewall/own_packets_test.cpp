// What this host sends to itself needs no knock; what somebody puts on the loopback interface is judged like any
// packet.
#include "server/firewall/firewall.hpp"

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/probes.hpp"
#include "tests/firewall/raw_packets.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

const Address loopback4 = *Address::parse("127.0.0.1"), loopback6 = *Address::parse("::1");
const Address link_local6 = *Address::parse("fe80::1");

struct Way {
    std::string from;
    std::string to;
};

// Whether such a SYN on the loopback interface, from a packet socket, is answered by the service.
bool opens_on_loopback(const Way& way, std::uint16_t port) {
    static std::uint16_t source_port = 42000;
    const Link loopback("lo");
    const Probe probe{
        .from = *Address::parse(way.from), .to = *Address::parse(way.to), .source_port = ++source_port, .port = port};
    loopback.send(probe, LinkAddress{});
    const auto answer = loopback.answer(probe.from.family, probe.source_port);
    return answer && flags_of(*answer) == (syn | ack);
}

// A stranger's answer does not come back over the loopback interface: what reaches the link tells.
bool opens_for_stranger(const TestNetwork& network, const Way& way, std::uint16_t port) {
    static std::uint16_t source_port = 43000;
    std::optional<Link> client;
    network.in_client([&] { client.emplace("c0"); });
    const Probe probe{
        .from = *Address::parse(way.from), .to = *Address::parse(way.to), .source_port = ++source_port, .port = port};
    Link("lo").send(probe, LinkAddress{});
    const auto answer = client->answer(probe.from.family, probe.source_port);
    return answer && flags_of(*answer) == (syn | ack);
}

// This host's own ways to itself.
void check_own_ways() {
    const Address any_ip4 = *Address::parse("10.82.5.9"), any_ip6 = *Address::parse("fd82:5::9");
    for (const auto& [to, from] : {std::pair{loopback4, loopback4},
                                   {server4, server4},
                                   {server4, loopback4},
                                   {*Address::parse("127.9.9.9"), *Address::parse("127.3.4.5")},
                                   {any_ip4, server4}}) {
        CAPTURE(to.text(), from.text());
        CHECK(connect_tcp(to, 22, from).port == Port::open);
    }
    for (const auto& [to, from] :
         {std::pair{loopback6, loopback6}, {server6, server6}, {server6, loopback6}, {any_ip6, server6}}) {
        CAPTURE(to.text(), from.text());
        CHECK(connect_tcp(to, 22, from).port == Port::open);
    }
    CHECK(connect_tcp(link_local6, 22, link_local6, "s0").port == Port::open);
}

}  // namespace

TEST_CASE("this host reaches its services at each of its addresses without a knock") {
    const TestNetwork network;
    run("ip route add local 10.82.5.0/24 dev lo && ip -6 route add local fd82:5::/64 dev lo");
    const auto sshd = listen_tcp(22);
    const Firewall firewall = installed({}, {ssh});
    check_own_ways();
}

TEST_CASE("a stranger's packet that is sent again on the loopback interface opens nothing") {
    const TestNetwork network;
    run("sysctl -qw net.ipv4.conf.all.rp_filter=0 && sysctl -qw net.ipv4.conf.lo.rp_filter=0");
    const auto sshd = listen_tcp(22), other = listen_tcp(80);
    const Firewall firewall = installed(dropping(), {ssh});
    for (const Way& way : {Way{"10.77.0.2", "10.77.0.1"}, Way{"fd77::2", "fd77::1"}}) {
        CAPTURE(way.from);
        CHECK(opens_for_stranger(network, way, 80));  // so the guard is what stops it
        CHECK_FALSE(opens_for_stranger(network, way, 22));
    }
}

TEST_CASE("a packet with a forged source of this host's own, put on the loopback interface, opens nothing") {
    const TestNetwork network;
    run("ip route add local 10.82.5.0/24 dev lo");
    run("sysctl -qw net.ipv4.conf.all.accept_local=1 && sysctl -qw net.ipv4.conf.lo.accept_local=1 && "
        "sysctl -qw net.ipv4.conf.all.route_localnet=1 && sysctl -qw net.ipv4.conf.lo.route_localnet=1");
    const auto sshd = listen_tcp(22), other = listen_tcp(80);
    const Firewall firewall = installed(dropping(), {ssh});
    for (const Way& way :
         {Way{"127.0.0.1", "127.0.0.1"}, Way{"127.0.0.1", "10.77.0.1"}, Way{"10.77.0.1", "10.77.0.1"},
          Way{"10.77.0.1", "127.0.0.1"}, Way{"10.82.5.9", "10.77.0.1"}, Way{"::1", "::1"}, Way{"fd77::1", "fd77::1"}}) {
        CAPTURE(way.from, way.to);
        CHECK(opens_on_loopback(way, 80));  // so the guard is what stops it
        CHECK_FALSE(opens_on_loopback(way, 22));
    }
}

TEST_CASE("a packet with a stranger's source from a raw socket of this host opens nothing") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22), other = listen_tcp(80);
    const Firewall firewall = installed(dropping(), {ssh});
    for (const auto family : {Family::ipv4, Family::ipv6}) {
        std::optional<Link> client;
        network.in_client([&] { client.emplace("c0"); });
        const RawTcp raw(family);
        for (const auto& [port, arrives] : {std::pair<std::uint16_t, bool>{80, true}, {22, false}}) {
            CAPTURE(port);
            raw.send_whole(tcp_segment(family, 44000, port, syn));
            const auto answer = client->answer(family, 44000);
            CHECK((answer && flags_of(*answer) == (syn | ack)) == arrives);
        }
    }
}

TEST_CASE("addresses of this host that come in by the network's interface are no way around the guard") {
    const TestNetwork network;
    run("sysctl -qw net.ipv4.conf.all.route_localnet=1 && sysctl -qw net.ipv4.conf.s0.route_localnet=1");
    const auto sshd = listen_tcp(22), other = listen_tcp(80);
    const Firewall firewall = installed(dropping(), {ssh});
    const LinkAddress server = link_address("s0");
    std::optional<Link> client;
    network.in_client([&] { client.emplace("c0"); });
    for (const auto& [port, arrives] : {std::pair<std::uint16_t, bool>{80, true}, {22, false}}) {
        CAPTURE(port);
        client->send({.from = client4, .to = loopback4, .source_port = 45000, .port = port}, server);
        const auto answer = client->answer(Family::ipv4, 45000);
        CHECK((answer && flags_of(*answer) == (syn | ack)) == arrives);
    }
}

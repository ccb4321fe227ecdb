// Whatever makes an address one of this host's, a service is guarded there, and opens there for who has knocked.
#include "server/firewall/firewall.hpp"

#include <cstdlib>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/probes.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

struct Place {
    const char* name;
    const char* address;
    const char* here;    // commands
    const char* client;  // commands
};

constexpr Place places[] = {
    {"a second address", "10.77.0.9", "ip addr add 10.77.0.9/16 dev s0", "true"},
    {"an address of the loopback interface", "10.81.0.7", "ip addr add 10.81.0.7/32 dev lo",
     "ip route add 10.81.0.7 via 10.77.0.1"},
    {"an address of a bridge", "10.81.1.1", "ip link add br0 type bridge; ip addr add 10.81.1.1/24 dev br0",
     "ip route add 10.81.1.0/24 via 10.77.0.1"},
    {"a local network", "10.81.2.9", "ip route add local 10.81.2.0/24 dev lo",
     "ip route add 10.81.2.0/24 via 10.77.0.1"},
    {"a local IPv6 network", "fd81:2::9", "ip -6 route add local fd81:2::/64 dev lo",
     "ip -6 route add fd81:2::/64 via fd77::1"},
    {"a single local IPv6 address", "fd81:3::9", "ip -6 route add local fd81:3::9 dev lo",
     "ip -6 route add fd81:3::/64 via fd77::1"},
    {"local by a rule for the interface", "fd81:4::9",
     "ip -6 route add local fd81:4::/64 dev lo table 100; ip -6 rule add iif s0 lookup 100 pref 100",
     "ip -6 route add fd81:4::/64 via fd77::1"},
    {"local by a rule for the source", "fd81:5::9",
     "ip -6 route add local fd81:5::/64 dev lo table 100; ip -6 rule add from fd77::2 lookup 100 pref 100",
     "ip -6 route add fd81:5::/64 via fd77::1"},
    {"local by a mark", "fd81:6::9",
     "ip -6 route add local fd81:6::/64 dev lo table 100; ip -6 rule add fwmark 7 lookup 100 pref 100; "
     "nft 'table inet marking { chain c { type filter hook prerouting priority mangle; meta mark set 7; }; }'",
     "ip -6 route add fd81:6::/64 via fd77::1"},
};

Port reach(const TestNetwork& network, const Address& to) {
    Port result = Port::silent;
    network.in_client([&] { result = connect_tcp(to, 22, to.family == Family::ipv4 ? client4 : client6).port; });
    return result;
}

bool has_vrf() { return std::system("ip link add probe type vrf table 1002 2>/dev/null && ip link del probe") == 0; }

}  // namespace

TEST_CASE("a service is guarded at every address that the routing tables call local") {
    const auto answer = GENERATE(ClosedAnswer::reset, ClosedAnswer::drop);
    for (const Place& place : places) {
        CAPTURE(place.name);
        const TestNetwork network;
        run(place.here);
        network.in_client([&] { run(place.client); });
        const auto sshd = listen_tcp(22);
        const Address address = *Address::parse(place.address);
        CHECK(reach(network, address) == Port::open);
        FirewallConfig config;
        config.closed = answer;
        Firewall firewall = installed(config, {ssh});
        CHECK(reach(network, address) != Port::open);
        const Address& client = address.family == Family::ipv4 ? client4 : client6;
        REQUIRE(firewall.open_grant(ssh, client, Seconds{30}, now()) == 0);
        CHECK(reach(network, address) == Port::open);
    }
}

TEST_CASE("a service is guarded at the addresses in a VRF, and its begun sessions go on") {
    const TestNetwork network;
    if (!has_vrf()) {
        WARN("not tried: this kernel has no VRF");
        return;
    }
    run("ip link add red type vrf table 1001 && ip link set red up && ip link set s0 master red && "
        "ip addr add fd77::1/64 nodad dev s0 && ip addr add 10.81.7.1/32 dev red && "
        "sysctl -qw net.ipv4.tcp_l3mdev_accept=1");
    network.in_client([] { run("ip route add 10.81.7.1 via 10.77.0.1"); });
    const auto sshd = listen_tcp(22);
    Connection old;
    network.in_client([&] { old = connect_tcp(server4, 22, client4); });
    REQUIRE(old.port == Port::open);
    const auto old_end = accept_from(sshd);
    for (const bool moved : {false, true}) {  // the rule that looks into the table local first
        CAPTURE(moved);
        if (moved)
            run("ip rule add pref 32765 table local && ip rule del pref 0 && ip -6 rule add pref 32765 table local && "
                "ip -6 rule del pref 0");
        Firewall firewall = installed({}, {ssh});
        for (const char* text : {"10.77.0.1", "fd77::1", "10.81.7.1"}) {
            CAPTURE(text);
            const Address address = *Address::parse(text);
            const Address& client = address.family == Family::ipv4 ? client4 : client6;
            CHECK(reach(network, address) != Port::open);  // silent: at prerouting a reset finds no route in a VRF
            REQUIRE(firewall.open_grant(ssh, client, Seconds{30}, now()) == 0);
            CHECK(reach(network, address) == Port::open);
            REQUIRE(firewall.close_grant(ssh, client, now()) == 0);
        }
        CHECK(talk(old.socket, old_end));
    }
}

TEST_CASE("a port that is published at an address in a VRF is guarded under the number the client names") {
    TestNetwork network;
    if (!has_vrf()) {
        WARN("not tried: this kernel has no VRF");
        return;
    }
    network.connect_inside();
    run("ip link add red type vrf table 1001 && ip link set red up && ip link set s0 master red && "
        "ip link set r0 master red");
    Descriptor webd;
    network.in_inside([&] { webd = listen_tcp(80); });
    run("nft 'table ip nat { chain pre { type nat hook prerouting priority dstnat; "
        "tcp dport 8443 dnat to 10.78.0.2:80; }; }'");
    const auto reach_web = [&] {
        Port result = Port::silent;
        network.in_client([&] { result = connect_tcp(server4, 8443, client4).port; });
        return result;
    };
    CHECK(reach_web() == Port::open);
    Firewall firewall = installed({}, {web});
    CHECK(reach_web() != Port::open);
    REQUIRE(firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
    CHECK(reach_web() == Port::open);
}

TEST_CASE("neither IP options nor extension headers lead past the guard") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22), other = listen_tcp(80);
    const Firewall firewall = installed({}, {ssh});
    const LinkAddress server = link_address("s0");
    std::optional<Link> client;
    network.in_client([&] { client.emplace("c0"); });
    const Segment no_operations{1, 1, 1, 0}, padding{protocol_tcp, 0, 1, 4, 0, 0, 0, 0};
    constexpr std::uint8_t hop_by_hop = 0, destination_options = 60;
    Segment both{destination_options, 0, 1, 4, 0, 0, 0, 0};
    both.insert(both.end(), padding.begin(), padding.end());
    std::uint16_t source_port = 46000;
    for (const Probe& kind :
         {Probe{.from = client4, .to = server4, .between = no_operations},
          Probe{.from = client6, .to = server6, .between = padding, .between_kind = hop_by_hop},
          Probe{.from = client6, .to = server6, .between = padding, .between_kind = destination_options},
          Probe{.from = client6, .to = server6, .between = both, .between_kind = hop_by_hop}})
        for (const auto& [port, arrives] : {std::pair<std::uint16_t, bool>{80, true}, {22, false}}) {
            CAPTURE(port, kind.between_kind);
            Probe probe = kind;
            probe.source_port = ++source_port;
            probe.port = port;
            client->send(probe, server);
            const auto answer = client->answer(kind.to.family, source_port);
            REQUIRE(answer);
            CHECK((flags_of(*answer) == (syn | ack)) == arrives);
        }
}

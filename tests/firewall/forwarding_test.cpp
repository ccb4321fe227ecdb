// Traffic through this host: other hosts' services are none of the guard's business, forwarded ports of its own are,
// and so are ports that are redirected to a guarded one.
#include "server/firewall/firewall.hpp"

#include <thread>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/probes.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

Port from_client(const TestNetwork& network, const Address& to, std::uint16_t port) {
    Port result = Port::silent;
    network.in_client([&] { result = connect_tcp(to, port, client4).port; });
    return result;
}

}  // namespace

TEST_CASE("the same port of a host behind this one stays reachable") {
    TestNetwork network;
    network.connect_inside();
    Descriptor sshd;
    network.in_inside([&] { sshd = listen_tcp(22); });
    const Firewall firewall = installed({}, {ssh});
    CHECK(from_client(network, inside4, 22) == Port::open);
}

TEST_CASE("a port that is published for a container is guarded under the number the client names") {
    TestNetwork network;
    network.connect_inside();
    Descriptor webd;
    network.in_inside([&] { webd = listen_tcp(80); });
    run("nft 'table ip nat { chain pre { type nat hook prerouting priority dstnat; "
        "tcp dport 8443 dnat to 10.78.0.2:80; }; }'");
    CHECK(from_client(network, server4, 8443) == Port::open);
    Firewall firewall = installed({}, {web});
    CHECK(from_client(network, server4, 8443) == Port::refused);
    REQUIRE(firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, 8443) == Port::open);
}

TEST_CASE("a port that is redirected to a service is guarded as that service") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    const std::string translation =
        GENERATE(as<std::string>{}, "redirect to :22", "dnat ip to 10.77.0.1:22", "dnat ip to 10.77.0.1:22 random");
    CAPTURE(translation);
    run("nft 'table inet nat { chain pre { type nat hook prerouting priority dstnat; tcp dport 2222 " + translation +
        "; }; }'");
    Connection old;
    network.in_client([&] { old = connect_tcp(server4, 2222, client4); });
    REQUIRE(old.port == Port::open);
    const auto old_end = accept_from(sshd);
    Firewall firewall = installed({}, {ssh});
    CHECK(from_client(network, server4, 2222) == Port::refused);
    CHECK(from_client(network, server4, 22) == Port::refused);
    CHECK(talk(old.socket, old_end));
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, 2222) == Port::open);
    CHECK(from_client(network, server4, 22) == Port::open);
}

TEST_CASE("a service that is redirected to a port of no service is guarded under the number the client names") {
    const TestNetwork network;
    const auto webd = listen_tcp(80);
    run("nft 'table ip nat { chain pre { type nat hook prerouting priority dstnat; tcp dport 8443 redirect to :80; }; "
        "}'");
    Firewall firewall = installed({}, {web});
    CHECK(from_client(network, server4, 8443) == Port::refused);
    CHECK(from_client(network, server4, 80) == Port::open);  // not the door's
    REQUIRE(firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, 8443) == Port::open);
}

TEST_CASE("a service that is redirected to another service needs a grant of each") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    run("nft 'table ip nat { chain pre { type nat hook prerouting priority dstnat; tcp dport 8443 redirect to :22; }; "
        "}'");
    Firewall firewall = installed({}, {ssh, web});
    REQUIRE(firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, 8443) == Port::refused);
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, 8443) == Port::open);
}

TEST_CASE("a UDP port that is redirected to a service is guarded as that service, and begun flows go on") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    run("nft 'table ip nat { chain pre { type nat hook prerouting priority dstnat; udp dport 5001 redirect to :51820; "
        "}; }'");
    Firewall firewall = installed({}, {vpn});
    const auto arrives = [&](const Descriptor& from) {
        REQUIRE(send_bytes(from, 10));
        return echo_once(service) && next_length(from) == 10;
    };
    const auto to_5001 = [&] {
        Descriptor socket;
        network.in_client([&] {
            socket = udp_from(client4);
            connect_udp(socket, server4, 5001);
        });
        return socket;
    };
    CHECK_FALSE(arrives(to_5001()));
    REQUIRE(firewall.open_grant(vpn, client4, Seconds{30}, now(), Seconds{60}) == 0);
    const auto begun = to_5001();
    CHECK(arrives(begun));
    REQUIRE(firewall.open_grant(vpn, client4, {}, now(), Seconds{60}) == 0);
    CHECK(arrives(begun));
    CHECK_FALSE(arrives(to_5001()));
}

TEST_CASE("flows to a UDP port that is published for a container go on behind the grant, until it is closed") {
    TestNetwork network;
    network.connect_inside();
    Descriptor service, client;
    network.in_inside([&] { service = bind_udp(5000); });
    run("nft 'table ip nat { chain pre { type nat hook prerouting priority dstnat; "
        "udp dport 51820 dnat to 10.78.0.2:5000; }; }'");
    Firewall firewall = installed({}, {vpn});
    const auto from_client = [&] {
        Descriptor socket;
        network.in_client([&] {
            socket = udp_from(client4);
            connect_udp(socket, server4, vpn.port);
        });
        return socket;
    };
    const auto arrives = [&](const Descriptor& from) {
        REQUIRE(send_bytes(from, 10));
        return echo_once(service) && next_length(from) == 10;
    };
    CHECK_FALSE(arrives(from_client()));
    REQUIRE(firewall.open_grant(vpn, client4, Seconds{30}, now(), Seconds{60}) == 0);
    const auto begun = from_client();
    CHECK(arrives(begun));
    REQUIRE(firewall.open_grant(vpn, client4, {}, now(), Seconds{60}) == 0);
    CHECK(arrives(begun));
    CHECK_FALSE(arrives(from_client()));
    REQUIRE(firewall.close_grant(vpn, client4, now()) == 0);
    CHECK_FALSE(arrives(begun));
}

// Masquerading lets it keep its port, under which the answers come back as long as the kernel knows the connection.
TEST_CASE("answers to another host's packets from a guarded port get to that host, and never to the service") {
    TestNetwork network;
    network.connect_inside();
    run("nft 'table ip nat { chain post { type nat hook postrouting priority srcnat; oifname s0 masquerade; }; }'");
    run("echo 1 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout");
    run("echo 1 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream");
    const auto service = bind_udp(vpn.port);
    const Firewall firewall = installed(dropping(), {vpn});
    Descriptor inside, outside;
    network.in_client([&] {
        outside = bind_udp(6000, Family::ipv4);
        connect_udp(outside, server4, vpn.port);
    });
    network.in_inside([&] {
        inside = bind_udp(vpn.port, Family::ipv4);
        connect_udp(inside, client4, 6000);
    });
    REQUIRE(send_bytes(inside, 10));
    REQUIRE(next_length(outside) == 10);
    REQUIRE(send_bytes(outside, 11));
    CHECK(next_length(inside) == 11);
    std::this_thread::sleep_for(std::chrono::milliseconds{1500});  // by now it is forgotten
    REQUIRE(send_bytes(outside, 12));
    CHECK(next_length(inside) == 0);
    CHECK_FALSE(echo_once(service));
}

// Of IPv4, the kernel refuses such packets by itself.
TEST_CASE("a packet that goes through this host with a forged address of it begins no session") {
    TestNetwork network;
    network.connect_inside();
    const auto service = bind_udp(vpn.port);
    Firewall firewall = installed(dropping(), {vpn});
    REQUIRE(firewall.open_grant(vpn, inside6, {}, now(), Seconds{60}) == 0);  // sessions alone
    Descriptor client;
    network.in_inside([&] { client = bind_udp(6000); });
    const auto gets_through = [&](std::uint16_t from) {
        network.in_client([&] {
            const auto forger = udp_pretending(server6, from);
            connect_udp(forger, inside6, 6000);
            REQUIRE(send_bytes(forger, 10));
        });
        return next_length(client) == 10;
    };
    CHECK(gets_through(vpn.port + 1));
    CHECK_FALSE(gets_through(vpn.port));
    connect_udp(client, server6, vpn.port);
    REQUIRE(send_bytes(client, 11));
    CHECK_FALSE(echo_once(service));
}

TEST_CASE("a stranger's packet for a redirected port that is sent again on the loopback interface opens nothing") {
    const TestNetwork network;
    run("sysctl -qw net.ipv4.conf.all.rp_filter=0 && sysctl -qw net.ipv4.conf.lo.rp_filter=0");
    run("nft 'table inet nat { chain pre { type nat hook prerouting priority dstnat; "
        "tcp dport 2222 dnat ip to 10.77.0.1:22; tcp dport 8080 dnat ip to 10.77.0.1:80; "
        "tcp dport 2222 dnat ip6 to [fd77::1]:22; tcp dport 8080 dnat ip6 to [fd77::1]:80; }; }'");
    const auto sshd = listen_tcp(22), other = listen_tcp(80);
    const Firewall firewall = installed(dropping(), {ssh});
    std::optional<Link> client;
    network.in_client([&] { client.emplace("c0"); });
    std::uint16_t source_port = 47000;
    for (const auto& [from, to] : {std::pair{client4, server4}, {client6, server6}})
        for (const auto& [port, arrives] : {std::pair<std::uint16_t, bool>{8080, true}, {2222, false}}) {
            CAPTURE(from.text(), port);
            Link("lo").send({.from = from, .to = to, .source_port = ++source_port, .port = port}, LinkAddress{});
            const auto answer = client->answer(from.family, source_port);
            CHECK((answer && flags_of(*answer) == (syn | ack)) == arrives);
        }
}

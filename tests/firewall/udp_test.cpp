// UDP services.
#include "server/firewall/firewall.hpp"

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

Descriptor client_socket(const TestNetwork& network, const Address& from, const Address& to, std::uint16_t port) {
    Descriptor socket;
    network.in_client([&] {
        socket = udp_from(from);
        connect_udp(socket, to, port, to.is_multicast() ? "c0" : "");
    });
    return socket;
}

}  // namespace

TEST_CASE("a closed UDP service is reported unreachable, a granted one answers, and its sessions live on") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    Firewall firewall = installed({}, {vpn});
    for (const auto& [to, from] : {std::pair{server4, client4}, {server6, client6}}) {
        CAPTURE(to.text());
        const auto stranger = client_socket(network, from, to, vpn.port);
        REQUIRE(send_bytes(stranger, 10));
        CHECK(next_length(stranger) == -1);
        CHECK_FALSE(echo_once(service));

        REQUIRE(firewall.open_grant(vpn, from, Seconds{30}, now()) == 0);
        const auto client = client_socket(network, from, to, vpn.port);
        REQUIRE(send_bytes(client, 10));
        CHECK(echo_once(service));
        CHECK(next_length(client) == 10);

        REQUIRE(firewall.close_grant(vpn, from, now()) == 0);
        REQUIRE(send_bytes(client, 11));
        CHECK(echo_once(service));
        CHECK(next_length(client) == 11);
        const auto late = client_socket(network, from, to, vpn.port);
        REQUIRE(send_bytes(late, 10));
        CHECK_FALSE(echo_once(service));
    }
}

TEST_CASE("answers to what a guarded UDP service sends of its own accord come in") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    const Firewall firewall = installed(dropping(), {vpn});
    Descriptor peer;
    network.in_client([&] { peer = bind_udp(6000); });
    connect_udp(service, *Address::parse("::ffff:10.77.0.2"), 6000);
    REQUIRE(send_bytes(service, 12));
    CHECK(echo_once(peer));
    CHECK(next_length(service) == 12);
}

TEST_CASE("broadcasts and multicasts are no way around the guard") {
    const TestNetwork network;
    const Firewall firewall = installed({}, {vpn});
    const auto address = GENERATE(as<std::string>{}, "10.77.255.255", "224.0.0.1", "ff02::1");
    CAPTURE(address);
    const Address to = *Address::parse(address);
    const Address from = to.family == Family::ipv4 ? client4 : client6;
    const auto service = bind_udp(vpn.port, to.family), other = bind_udp(5000, to.family);
    network.in_client([] { run("ip route replace 224.0.0.0/4 dev c0"); });
    for (const auto& [socket, port, arrives] : {std::tuple{&other, 5000, true}, {&service, 51820, false}}) {
        const auto client = client_socket(network, from, to, static_cast<std::uint16_t>(port));
        REQUIRE(send_bytes(client, 10));
        CHECK((next_length(*socket) == 10) == arrives);
    }
}

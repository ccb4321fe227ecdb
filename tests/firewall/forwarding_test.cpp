// Traffic through this host: other hosts' services are none of the guard's business, forwarded ports of its own are.
#include "server/firewall/firewall.hpp"

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
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

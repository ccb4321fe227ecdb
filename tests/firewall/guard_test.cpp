// Guard mode with real TCP connections.
#include "server/firewall/firewall.hpp"

#include <cerrno>

#include <unistd.h>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"
#include "tests/firewall/stream.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

Port from_client(const TestNetwork& network, const Address& to, std::uint16_t port, const Address& from = client4) {
    Port result = Port::silent;
    network.in_client([&] { result = connect_tcp(to, port, from).port; });
    return result;
}

std::string conntrack_count() { return output("cat /proc/sys/net/netfilter/nf_conntrack_count"); }

}  // namespace

TEST_CASE("a closed service looks like an unused port, and a grant opens it for its address alone") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22), other = listen_tcp(80);
    Firewall firewall = installed({}, {ssh});
    CHECK(from_client(network, server4, 22) == Port::refused);
    CHECK(from_client(network, server4, 23) == Port::refused);  // unused
    CHECK(from_client(network, server4, 80) == Port::open);     // not ours
    CHECK(from_client(network, server6, 22, client6) == Port::refused);
    CHECK(from_client(network, server6, 80, client6) == Port::open);

    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, 22) == Port::open);
    CHECK(from_client(network, server4, 22, other_client4) == Port::refused);
    CHECK(from_client(network, server6, 22, client6) == Port::refused);
    REQUIRE(firewall.open_grant(ssh, client6, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server6, 22, client6) == Port::open);

    REQUIRE(firewall.close_grant(ssh, client4, now()) == 0);
    CHECK(from_client(network, server4, 22) == Port::refused);
    CHECK(from_client(network, server6, 22, client6) == Port::open);
}

TEST_CASE("a grant opens its own service only, and only services of the door can be granted") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22), webd = listen_tcp(8443);
    Firewall firewall = installed({}, {ssh, web});
    REQUIRE(firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, 8443) == Port::open);
    CHECK(from_client(network, server4, 22) == Port::refused);
    CHECK(firewall.open_grant(vpn, client4, Seconds{30}, now()) == EINVAL);
    CHECK(firewall.open_grant(ssh, client4, Seconds{0}, now()) == EINVAL);
    CHECK(firewall.close_grant(vpn, client4, now()) == EINVAL);
}

TEST_CASE("closed = drop answers with silence") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    Firewall firewall = installed(dropping(), {ssh});
    CHECK(from_client(network, server4, 22) == Port::silent);
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, 22) == Port::open);
}

TEST_CASE("link-local IPv6 is guarded like any address") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    const Address server = *Address::parse("fe80::1"), client = *Address::parse("fe80::2");
    Port port = Port::open;
    const auto try_it = [&] { port = connect_tcp(server, 22, client, "c0").port; };
    network.in_client(try_it);
    CHECK(port == Port::open);  // without a guard
    Firewall firewall = installed({}, {ssh});
    network.in_client(try_it);
    CHECK(port == Port::refused);
    REQUIRE(firewall.open_grant(ssh, client, Seconds{30}, now()) == 0);
    network.in_client(try_it);
    CHECK(port == Port::open);
}

TEST_CASE("this host reaches its own services, and trusted networks reach them without a knock") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    Firewall firewall = installed(trusting({*Network::parse("10.77.9.0/24")}), {ssh});
    CHECK(connect_tcp(*Address::parse("127.0.0.1"), 22, *Address::parse("127.0.0.1")).port == Port::open);
    CHECK(connect_tcp(server4, 22, server4).port == Port::open);
    CHECK(connect_tcp(server6, 22, server6).port == Port::open);
    CHECK(from_client(network, server4, 22, trusted_client4) == Port::open);
    CHECK(from_client(network, server4, 22, client4) == Port::refused);
}

TEST_CASE("sessions older than the guard, and sessions whose grant has ended, live on") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    Connection old, granted;
    network.in_client([&] { old = connect_tcp(server4, 22, client4); });
    const auto old_end = accept_from(sshd);
    Firewall firewall = installed({}, {ssh});
    CHECK(talk(old.socket, old_end));
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    network.in_client([&] { granted = connect_tcp(server4, 22, client4); });
    const auto granted_end = accept_from(sshd);
    REQUIRE(firewall.close_grant(ssh, client4, now()) == 0);
    CHECK(from_client(network, server4, 22) == Port::refused);
    CHECK(talk(granted.socket, granted_end));
    CHECK(firewall.install({{ssh, client4, Seconds{30}}}, now()));
    CHECK(talk(old.socket, old_end));
    CHECK(conntrack_count() == "0\n");  // nothing here needs connection tracking
}

TEST_CASE("the kernel ends a grant by itself, also when the daemon is gone") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    Port during = Port::silent;
    {
        Firewall firewall = installed({}, {ssh});
        REQUIRE(firewall.open_grant(ssh, client4, Seconds{1}, now()) == 0);
    }
    during = from_client(network, server4, 22);
    usleep(1'200'000);
    CHECK(during == Port::open);
    CHECK(from_client(network, server4, 22) == Port::refused);
}

TEST_CASE("opening again sets the end anew, to later or earlier, and loses no packet") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    Firewall firewall = installed({}, {ssh});
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{60}, now()) == 0);
    ConnectionStream stream(network, sshd, 22);
    for (int i = 0; i < 2000 || stream.accepted() < 500; ++i) {
        REQUIRE(firewall.open_grant(ssh, client4, Seconds{60 + i % 2}, now()) == 0);
        stream.accept_all();
    }
    CHECK(stream.finish());

    REQUIRE(firewall.open_grant(ssh, client4, Seconds{1}, now()) == 0);
    usleep(1'200'000);
    CHECK(from_client(network, server4, 22) == Port::refused);
}

TEST_CASE("closing what is not open is done already") {
    const TestNetwork network;
    Firewall firewall = installed({}, {ssh});
    CHECK(firewall.close_grant(ssh, client4, now()) == 0);
    REQUIRE(firewall.remove());
    CHECK(firewall.close_grant(ssh, client4, now()) == 0);
}

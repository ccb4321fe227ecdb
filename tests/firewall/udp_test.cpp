// UDP services.
#include "server/firewall/firewall.hpp"

#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

using std::chrono::milliseconds;

// Whether a datagram of the client's gets to the service, and one back.
bool answered(const Descriptor& client, const Descriptor& service) {
    int refused = 0;  // the last one may have been, and nobody has been told yet
    socklen_t length = sizeof refused;
    REQUIRE(getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &refused, &length) == 0);
    return send_bytes(client, 10) && echo_once(service) && next_length(client) == 10;
}

// The service's socket sends to the sender of the next datagram from now on.
void connect_back(const Descriptor& service) {
    sockaddr_in6 from{};
    socklen_t length = sizeof from;
    char byte = 0;
    REQUIRE(recvfrom(service.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &length) >= 0);
    REQUIRE(connect(service.get(), reinterpret_cast<const sockaddr*>(&from), length) == 0);
}

// The time that is left of the only flow.
milliseconds left_of_flow() {
    auto socket = nft::Socket::open();
    REQUIRE(socket);
    const auto set = socket->read_set(grant_sets(FirewallConfig{}).table, "flows4");
    REQUIRE((set && *set && (*set)->elements.size() == 1));
    return (*set)->elements.front().remaining.value();
}

Descriptor client_socket(const TestNetwork& network, const Address& from, const Address& to, std::uint16_t port) {
    Descriptor socket;
    network.in_client([&] {
        socket = udp_from(from);
        connect_udp(socket, to, port, to.is_multicast() ? "c0" : "");
    });
    return socket;
}

// The service sends to somebody of its own accord, and gets an answer.
void ask_from(const TestNetwork& network, const Descriptor& service) {
    Descriptor peer;
    network.in_client([&] { peer = bind_udp(6000); });
    connect_udp(service, *Address::parse("::ffff:10.77.0.2"), 6000);
    REQUIRE(send_bytes(service, 12));
    CHECK(echo_once(peer));
    CHECK(next_length(service) == 12);
}

// A client that the guard's one UDP service knows: its grant lives, and its flows may go on for longer.
struct Session {
    TestNetwork network;
    Descriptor service = bind_udp(vpn.port);
    Firewall firewall;
    Descriptor client = client_socket(network, client4, server4, vpn.port);

    explicit Session(const FirewallConfig& config = {}, milliseconds grant = Seconds{30},
                     milliseconds flows = Seconds{60})
        : firewall(installed(config, {vpn})) {
        REQUIRE(firewall.open_grant(vpn, client4, grant, now(), flows) == 0);
    }
};

}  // namespace

TEST_CASE("a closed UDP service is reported unreachable, a granted one answers, and its flows live on until a close") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    Firewall firewall = installed({}, {vpn});
    for (const auto& [to, from] : {std::pair{server4, client4}, {server6, client6}}) {
        CAPTURE(to.text());
        const auto stranger = client_socket(network, from, to, vpn.port);
        REQUIRE(send_bytes(stranger, 10));
        CHECK(next_length(stranger) == -1);
        CHECK_FALSE(echo_once(service));

        REQUIRE(firewall.open_grant(vpn, from, Seconds{30}, now(), Seconds{60}) == 0);
        const auto client = client_socket(network, from, to, vpn.port);
        CHECK(answered(client, service));

        REQUIRE(firewall.open_grant(vpn, from, {}, now(), Seconds{60}) == 0);  // the grant has ended
        CHECK(answered(client, service));
        const auto late = client_socket(network, from, to, vpn.port);
        CHECK_FALSE(answered(late, service));

        REQUIRE(firewall.close_grant(vpn, from, now()) == 0);
        CHECK_FALSE(answered(client, service));
        REQUIRE(firewall.open_grant(vpn, from, Seconds{30}, now(), Seconds{60}) == 0);
        CHECK(answered(client, service));
        REQUIRE(firewall.close_grant(vpn, from, now()) == 0);
    }
}

TEST_CASE("a flow is renewed by what the service sends, never by what comes, and ends when it is idle") {
    Session session;
    auto& [network, service, firewall, client] = session;
    REQUIRE(answered(client, service));
    const milliseconds begun = left_of_flow();
    usleep(300'000);
    REQUIRE(send_bytes(client, 10));
    CHECK(next_length(service) == 10);  // and nothing is sent back
    const milliseconds later = left_of_flow();
    CHECK(later <= begun - milliseconds{250});
    REQUIRE(answered(client, service));
    CHECK(left_of_flow() > later + milliseconds{100});

    FirewallConfig impatient;
    impatient.udp_idle = Seconds{1};
    Firewall other = installed(impatient, {vpn}, nullptr, {{vpn, client4, {}, Seconds{60}}});
    REQUIRE(answered(client, service));  // renewed, with less
    usleep(1'200'000);
    CHECK_FALSE(answered(client, service));
}

TEST_CASE("flows end when their longest time is over, however busy they are") {
    Session session({}, milliseconds{100}, milliseconds{800});
    auto& [network, service, firewall, client] = session;
    const Instant end = now() + milliseconds{900};
    while (now() < end) (void)answered(client, service);
    CHECK_FALSE(answered(client, service));
    CHECK(firewall.open_grant(vpn, client4, {}, now()) == EINVAL);
}

TEST_CASE("a client whose flows were ended is not let in by what the service sends to it") {
    Session session(dropping());
    auto& [network, service, firewall, client] = session;
    REQUIRE(send_bytes(client, 10));
    connect_back(service);
    REQUIRE(send_bytes(service, 11));
    CHECK(next_length(client) == 11);
    REQUIRE(firewall.close_grant(vpn, client4, now()) == 0);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(send_bytes(service, 12));
        CHECK(next_length(client) == 12);
        REQUIRE(send_bytes(client, 13));
        CHECK(next_length(service) != 13);
    }
}

TEST_CASE("one address cannot fill the set of flows") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    Firewall firewall = installed({}, {vpn});
    for (const Address& address : {client4, other_client4})
        REQUIRE(firewall.open_grant(vpn, address, Seconds{60}, now(), Seconds{60}) == 0);
    for (int i = 0; i < 400; ++i) REQUIRE(answered(client_socket(network, client4, server4, vpn.port), service));
    const auto flows = [](const std::string& address) {
        return std::stoi(output("nft list set inet oneknock flows4 | grep -o '" + address + " \\.' | wc -l"));
    };
    CHECK(flows("10.77.0.2") >= 250);       // random source ports may be the same
    CHECK(flows("10.77.0.2") <= 256 + 40);  // ten minutes
    REQUIRE(answered(client_socket(network, other_client4, server4, vpn.port), service));
    CHECK(flows("10.77.0.3") == 1);
}

TEST_CASE("flows go on when the table is built anew, and end with their service") {
    Session session;
    auto& [network, service, firewall, client] = session;
    REQUIRE(answered(client, service));
    REQUIRE(firewall.open_grant(vpn, client4, {}, now(), Seconds{60}) == 0);
    run("nft flush chain inet oneknock sessions");
    CHECK(repaired(firewall, now()));
    CHECK(answered(client, service));
    CHECK(firewall.change_services({ssh, vpn}, now()) == true);
    CHECK(answered(client, service));
    CHECK(firewall.change_services({ssh}, now()) == true);
    CHECK(listing().find("flows") == std::string::npos);
    CHECK(firewall.change_services({ssh, vpn}, now()) == true);
    CHECK_FALSE(answered(client, service));
    CHECK_FALSE(repaired(firewall, now()));
}

TEST_CASE("the next start admits whom the record knows, and nobody else") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    const auto client = client_socket(network, client4, server4, vpn.port);
    const auto other = client_socket(network, other_client4, server4, vpn.port);
    {
        Firewall earlier = installed({}, {vpn});
        for (const auto& [socket, address] : {std::pair{&client, client4}, {&other, other_client4}}) {
            REQUIRE(earlier.open_grant(vpn, address, Seconds{30}, now(), Seconds{60}) == 0);
            REQUIRE(answered(*socket, service));
            REQUIRE(earlier.open_grant(vpn, address, {}, now(), Seconds{60}) == 0);
        }
    }
    auto firewall = Firewall::open({}, {vpn});
    REQUIRE(firewall);
    const auto found = firewall->install({{vpn, client4, {}, Seconds{60}}}, now());
    REQUIRE(found);
    CHECK(found->adopted.empty());  // no grants
    CHECK(found->removed == 1);
    CHECK(answered(client, service));
    CHECK_FALSE(answered(other, service));
    CHECK_FALSE(repaired(*firewall, now()));
}

TEST_CASE("flows in a saved ruleset that is loaded at boot open nothing once the guard is set up") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    const auto client = client_socket(network, client4, server4, vpn.port);
    {
        Firewall before = installed({}, {vpn});
        REQUIRE(before.open_grant(vpn, client4, Seconds{30}, now(), Seconds{60}) == 0);
        REQUIRE(answered(client, service));
    }
    run("rules=$(mktemp) && nft list ruleset > $rules && nft flush ruleset && nft -f $rules && rm $rules");
    CHECK(answered(client, service));  // the grant and the flow are there again
    const Firewall firewall = installed({}, {vpn});
    CHECK_FALSE(answered(client, service));
}

TEST_CASE("a start forgets what an earlier run's services had sent of their own accord") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    Firewall earlier = installed({}, {vpn});
    ask_from(network, service);
    CHECK(output("nft list set inet oneknock asked4").find("10.77.0.2 . 6000") != std::string::npos);
    (void)installed({}, {vpn});
    CHECK(output("nft list set inet oneknock asked4").find("10.77.0.2") == std::string::npos);
}

TEST_CASE("answers to what a guarded UDP service sends of its own accord come in") {
    const TestNetwork network;
    const auto service = bind_udp(vpn.port);
    const Firewall firewall = installed(dropping(), {vpn});
    ask_from(network, service);
}

TEST_CASE("broadcasts and multicasts are no way around the guard") {
    const TestNetwork network;
    const Firewall firewall = installed({}, {vpn});
    const auto address = GENERATE(as<std::string>{}, "10.77.255.255", "224.0.0.1", "ff02::1");
    CAPTURE(address);
    const Address to = *Address::parse(address);
    const Address from = to.family == Family::ipv4 ? client4 : client6;
    const auto service = bind_udp(vpn.port, to.family), other = bind_udp(5000, to.family);
    network.in_client([] {
        run("ip route replace 224.0.0.0/4 dev c0");
        run("timeout 60 sh -c 'until ip -6 route list table local dev c0 | grep -q ff00::/8; do sleep 0.05; done'");
    });
    for (const auto& [socket, port, arrives] : {std::tuple{&other, 5000, true}, {&service, 51820, false}}) {
        const auto client = client_socket(network, from, to, static_cast<std::uint16_t>(port));
        REQUIRE(send_bytes(client, 10));
        CHECK((next_length(*socket) == 10) == arrives);
    }
}

// What a scanner sees: a guarded port with a service behind it answers as a port without one.
#include "server/firewall/firewall.hpp"

#include <array>
#include <set>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/probes.hpp"
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

struct Scanner {
    Link link;
    LinkAddress server;

    // The answer to this probe at this port, without what must differ between two ports.
    std::optional<Segment> ask(Probe probe, std::uint16_t port, const LinkAddress& to) const {
        static std::uint16_t source_port = 48000;
        probe.source_port = ++source_port;
        probe.port = port;
        link.send(probe, to);
        const auto answer = link.answer(probe.from.family, probe.source_port);
        if (!answer) return std::nullopt;
        return comparable(*answer);
    }
};

Scanner scanner(const TestNetwork& network) {
    std::optional<Link> link;
    network.in_client([&] { link.emplace("c0"); });
    return {std::move(*link), link_address("s0")};
}

}  // namespace

TEST_CASE("no field of its resets tells a guarded service from an unused port") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    const Firewall firewall = installed({}, {ssh});
    const Scanner scan = scanner(network);
    const Segment no_operations{1, 1, 1, 0}, padding{protocol_tcp, 0, 1, 4, 0, 0, 0, 0};
    for (const std::uint8_t flags : {syn, fin, std::uint8_t{0}, static_cast<std::uint8_t>(syn | fin), ack})
        for (const Probe& probe :
             {Probe{.from = client4, .to = server4, .flags = flags},
              Probe{.from = client6, .to = server6, .flags = flags},
              Probe{.from = client4, .to = server4, .flags = flags, .between = no_operations},
              Probe{.from = client6, .to = server6, .flags = flags, .between = padding, .between_kind = 60}}) {
            CAPTURE(static_cast<int>(flags), probe.from.text(), probe.between.size());
            const auto unused = scan.ask(probe, 23, scan.server);
            CHECK(unused);
            CHECK(scan.ask(probe, 22, scan.server) == unused);
        }
}

TEST_CASE("no TCP option tells a guarded service from an unused port, not even one that the kernel does not answer") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    const Firewall firewall = installed({}, {ssh});
    const Scanner scan = scanner(network);
    Segment md5_signature(20);
    md5_signature[0] = 19;
    md5_signature[1] = 18;
    for (const Segment& options :
         std::initializer_list<Segment>{{2, 4, 5, 0xb4},                         // largest segment
                                        {8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 1},   // time stamps
                                        {34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1},  // fast open
                                        {30, 12, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8},  // several paths
                                        md5_signature,
                                        {19, 4, 0, 0},
                                        {19, 30, 0, 0},
                                        {99, 4, 0, 0},
                                        {99, 40, 0, 0},
                                        {99, 0, 0, 0}})
        for (const auto& [from, to] : {std::pair{client4, server4}, {client6, server6}}) {
            CAPTURE(static_cast<int>(options[0]), static_cast<int>(options[1]), from.text());
            const Probe probe{.from = from, .to = to, .options = options};
            const auto unused = scan.ask(probe, 23, scan.server);
            CHECK(unused.has_value() == (options != md5_signature));
            CHECK(scan.ask(probe, 22, scan.server) == unused);
        }
}

TEST_CASE("the IPv6 flow labels of resets are the same for the same ports and others for others") {
    const TestNetwork network;
    const Firewall firewall = installed({}, {ssh});
    const Scanner scan = scanner(network);
    const auto label = [&](std::uint16_t source_port) -> std::uint32_t {
        scan.link.send({.from = client6, .to = server6, .source_port = source_port, .port = 22}, scan.server);
        const auto answer = scan.link.answer(Family::ipv6, source_port);
        REQUIRE(answer);
        return load_u32be(answer->data()) & 0xfffff;
    };
    std::set<std::uint32_t> labels;
    for (std::uint16_t port = 49000; port < 49020; ++port) {
        labels.insert(label(port));
        CHECK(label(port) == label(port));
    }
    CHECK(labels.size() >= 19);
}

TEST_CASE("whatever a flow sends, and whenever the table was built, its resets have the one label") {
    const TestNetwork network;
    Firewall firewall = installed({}, {ssh});
    const Scanner scan = scanner(network);
    const auto label = [&](std::uint16_t port, std::uint8_t flags) -> std::uint32_t {
        scan.link.send({.from = client6, .to = server6, .source_port = 47000, .port = port, .flags = flags},
                       scan.server);
        const auto answer = scan.link.answer(Family::ipv6, 47000);
        REQUIRE(answer);
        return load_u32be(answer->data());
    };
    const auto unused = label(23, syn), guarded = label(22, syn);
    CHECK(guarded >> 20 == unused >> 20);
    for (const std::uint8_t flags : {ack, static_cast<std::uint8_t>(fin | ack)}) {
        CHECK(label(23, flags) == unused);
        CHECK(label(22, flags) == guarded);
    }
    run("nft flush ruleset");
    REQUIRE(repaired(firewall, now()));
    CHECK(label(22, syn) == guarded);
}

// Where a firewall drops the rest and lets new connections through to the service, which the guard is to close.
TEST_CASE("with closed = drop a guarded port is as silent as all others, to segments of no session as well") {
    TestNetwork network;
    network.connect_inside();
    run("nft 'table inet filter { chain input { type filter hook input priority filter; policy drop; "
        "meta l4proto ipv6-icmp accept; tcp dport 22 accept; }; }'");
    run("nft 'table inet nat { chain pre { type nat hook prerouting priority dstnat; "
        "tcp dport 8443 dnat ip to 10.78.0.2:443; tcp dport 8443 dnat ip6 to [fd78::2]:443; }; }'");
    Firewall firewall = installed(dropping(), {ssh, web});
    const Scanner scan = scanner(network);
    const auto answered = [&](const Address& from, const Address& to, std::uint16_t port, std::uint8_t flags) {
        return scan.ask({.from = from, .to = to, .flags = flags}, port, scan.server).has_value();
    };
    for (const auto& [from, to] : {std::pair{client4, server4}, {client6, server6}})
        for (const Service& service : {ssh, web}) {
            CAPTURE(from.text(), service.port);
            for (const std::uint8_t flags : {ack, static_cast<std::uint8_t>(fin | ack)})
                CHECK_FALSE(answered(from, to, service.port, flags));
            REQUIRE(firewall.open_grant(service, from, Seconds{30}, now()) == 0);
            CHECK(answered(from, to, service.port, ack));  // whose session another boot has forgotten
        }
}

TEST_CASE("frames and addresses to which an unused port does not answer are not answered by a service either") {
    const TestNetwork network;
    run("sysctl -qw net.ipv6.conf.all.forwarding=1");
    const auto sshd = listen_tcp(22);
    const Firewall firewall = installed({}, {ssh});
    const Scanner scan = scanner(network);
    const Address broadcast = *Address::parse("10.77.255.255"), anycast = *Address::parse("fd77::"),
                  multicast = *Address::parse("ff02::1");
    for (const auto& [from, to] : {std::pair{client4, broadcast}, {client6, anycast}, {client6, multicast}}) {
        CAPTURE(to.text());
        CHECK_FALSE(scan.ask({.from = from, .to = to}, 23, scan.server));
        CHECK_FALSE(scan.ask({.from = from, .to = to}, 22, scan.server));
    }
    for (const auto& [from, to] : {std::pair{client4, server4}, {client6, server6}}) {
        CAPTURE(to.text());
        CHECK_FALSE(scan.ask({.from = from, .to = to}, 23, link_broadcast));
        CHECK_FALSE(scan.ask({.from = from, .to = to}, 22, link_broadcast));
    }
}

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

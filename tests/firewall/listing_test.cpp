// The table as the administrator sees it: every rule is listed as our own description words it.
#include "server/firewall/firewall.hpp"

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

void check_listed(const FirewallConfig& config, const std::vector<Service>& services) {
    const TestNetwork network;
    const Firewall firewall = installed(config, services);
    const std::string text = listing();
    INFO(text);
    std::size_t lines = 0;
    for (const Rule& rule : describe_table(config, services).rules) {
        CAPTURE(rule.text);
        CHECK(text.find("\t\t" + rule.text + "\n") != std::string::npos);
        ++lines;
    }
    CHECK(lines >= 2);
    CHECK(text.find("type filter hook prerouting priority dstnat - 10; policy accept;") != std::string::npos);
    for (const std::string type : {"ipv4_addr", "ipv6_addr"})
        CHECK(text.find("type " + type + " . inet_proto . inet_service\n\t\tsize 65536\n\t\tflags timeout\n") !=
              std::string::npos);
}

}  // namespace

TEST_CASE("nft lists the guard's rules in the words of the description") {
    const std::vector<Network> trusted{*Network::parse("10.1.0.0/16"), *Network::parse("10.1.2.0/23"),
                                       *Network::parse("192.0.2.7"),   *Network::parse("2001:db8::/33"),
                                       *Network::parse("::/0"),        *Network::parse("fd00::1")};
    check_listed(trusting(trusted), {ssh, web});
    check_listed(trusting(trusted), {ssh, vpn});
    check_listed(dropping(), {vpn});
}

TEST_CASE("nft lists the rules of mark mode in the words of the description") { check_listed(marking(0x2a), {ssh}); }

TEST_CASE("nft lists services and grants by name") {
    const TestNetwork network;
    Firewall firewall = installed({}, {ssh, vpn});
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    REQUIRE(firewall.open_grant(vpn, client6, Seconds{60}, now()) == 0);
    const std::string text = listing();
    INFO(text);
    CHECK(text.find("10.77.0.2 . tcp . 22 timeout 30s expires ") != std::string::npos);
    CHECK(text.find("fd77::2 . udp . 51820 timeout 1m expires ") != std::string::npos);
    CHECK(text.find("type inet_proto . inet_service") != std::string::npos);
    CHECK(text.find("type fib_addrtype") != std::string::npos);
    CHECK(text.find("tcp . 22,") != std::string::npos);
    const std::string json = output("nft -j list table inet oneknock");
    CHECK(json.find(R"({"elem": {"val": {"concat": ["10.77.0.2", "tcp", 22]}, "timeout": 30)") != std::string::npos);
}

TEST_CASE("there is no connection tracking in the table unless a service needs it") {
    const TestNetwork network;
    const Firewall tcp_only = installed({}, {ssh});
    CHECK(listing().find(" ct ") == std::string::npos);
    const Firewall with_udp = installed({}, {ssh, vpn});
    CHECK(listing().find(" ct state established,related accept") != std::string::npos);
}

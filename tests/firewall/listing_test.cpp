// The table as the administrator sees it: every rule is listed as our own description words it.
#include "server/firewall/firewall.hpp"

#include <algorithm>

#include "common/boot_id.hpp"
#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

// The administrator's: what mark mode marks and set mode's sets hold is accepted, ssh is closed to all others.
const FirewallConfig administrators_sets = using_sets("inet", "filter", "oneknock4", "oneknock6");
const std::string administrators_rules =
    "nft 'table inet filter { "
    "set oneknock4 { type ipv4_addr . inet_proto . inet_service; flags timeout; size 65536; }; "
    "set oneknock6 { type ipv6_addr . inet_proto . inet_service; flags timeout; size 65536; }; "
    "chain input { type filter hook input priority 0; meta mark 20299 accept; "
    "ip saddr . meta l4proto . th dport @oneknock4 accept; tcp dport 22 tcp flags syn reject with tcp reset; }; }'";

void check_listed(const FirewallConfig& config, const std::vector<Service>& services) {
    const TestNetwork network;
    const Firewall firewall = installed(config, services);
    const std::string text = listing();
    const std::uint32_t label_seed = load_u32be(read_boot_id().data());
    INFO(text);
    std::size_t lines = 0;
    for (const Rule& rule : describe_table(config, services, label_seed).rules) {
        CAPTURE(rule.text);
        CHECK(text.find("\t\t" + rule.text + "\n") != std::string::npos);
        ++lines;
    }
    CHECK(lines >= 2);
    CHECK(text.find("type filter hook prerouting priority dstnat - 10; policy accept;") != std::string::npos);
    const bool guards = config.mode == FirewallMode::guard;
    CHECK((text.find("type filter hook input priority filter - 10; policy accept;") != std::string::npos) == guards);
    const bool has_flows = std::ranges::count(services, vpn) > 0 && guards;
    const bool holds_back = config.closed == ClosedAnswer::drop && guards;
    CHECK((text.find("type filter hook postrouting priority srcnat + 10;") != std::string::npos) ==
          (has_flows || holds_back));
    for (const std::string type : {"ipv4_addr", "ipv6_addr"})
        CHECK(text.find("type " + type + " . inet_proto . inet_service\n\t\tsize 65536\n\t\tflags timeout\n") !=
              std::string::npos);
}

// Saves the host's rules, loads them again, and compares.
void check_loads_again(Firewall& firewall, const std::string& list, const std::string& load) {
    CAPTURE(list);
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{40}, now()) == 0);
    REQUIRE(firewall.open_grant(ssh, client6, Seconds{40}, now()) == 0);
    const std::string before = timeless(output("nft list ruleset"));
    const std::string file = output("mktemp");
    const std::string path = file.substr(0, file.size() - 1);
    run(list + " > " + path);
    run("nft flush ruleset");
    run(load + " " + path + " && rm " + path);
    CHECK(timeless(output("nft list ruleset")) == before);
    CHECK(before.find("10.77.0.2 . tcp . 22") != std::string::npos);
}

void check_guards(const TestNetwork& network) {
    const auto sshd = listen_tcp(22);
    network.in_client([] {
        CHECK(connect_tcp(server4, 22, client4).port == Port::open);
        CHECK(connect_tcp(server4, 22, other_client4).port != Port::open);
        CHECK(connect_tcp(server6, 22, client6).port == Port::open);
    });
}

void check_loads_again(const FirewallConfig& config, const std::vector<Service>& services,
                       const std::string& preparation = "true") {
    for (const auto& [list, load] : {std::pair{"nft list ruleset", "nft -f"},
                                     {"nft -a list ruleset", "nft -f"},
                                     {"nft -j list ruleset", "nft -j -f"}}) {
        const TestNetwork network;
        run(preparation);
        Firewall firewall = installed(config, services);
        check_loads_again(firewall, list, load);
        if (config.mode == FirewallMode::guard && config.trusted.empty()) check_guards(network);
    }
}

}  // namespace

TEST_CASE("what nft lists of the guard can be loaded again, and is the same") {
    const std::vector<Network> trusted{*Network::parse("10.1.0.0/16"),   *Network::parse("192.0.2.7"),
                                       *Network::parse("0.0.0.0/0"),     *Network::parse("::/0"),
                                       *Network::parse("2001:db8::/33"), *Network::parse("fd00::1")};
    check_loads_again({}, {ssh});
    check_loads_again({}, {ssh, web, vpn});
    check_loads_again(dropping(), {ssh, vpn});
    check_loads_again(trusting(trusted), {ssh, vpn});
}

TEST_CASE("what nft lists in mark mode and set mode can be loaded again, and is the same") {
    check_loads_again(marking(20299), {ssh});
    check_loads_again(administrators_sets, {ssh}, administrators_rules);
}

TEST_CASE("a grant in a saved ruleset that is loaded at boot opens nothing once the guard is set up") {
    for (const std::string json : {"", "-j "})
        for (const auto& config : {FirewallConfig{}, marking(20299), administrators_sets}) {
            const TestNetwork network;
            run(administrators_rules);
            {
                Firewall before = installed(config, {ssh});
                REQUIRE(before.open_grant(ssh, client4, Seconds{40}, now()) == 0);
            }
            run("rules=$(mktemp) && nft " + json + "list ruleset > $rules && nft flush ruleset && nft " + json +
                "-f $rules && rm $rules");
            const auto elements = [] { return output("nft list ruleset | grep -c '10.77.0.2 . tcp . 22' || true"); };
            CHECK(elements() == "1\n");  // what was left of it begins to run when it is loaded
            (void)installed(config, {ssh});
            CHECK(elements() == "0\n");
            const auto sshd = listen_tcp(22);
            network.in_client([] { CHECK(connect_tcp(server4, 22, client4).port != Port::open); });
        }
}

TEST_CASE("every chain and set can be listed by its name") {
    const TestNetwork network;
    const auto config = GENERATE(FirewallConfig{}, marking(1));
    const Firewall firewall = installed(config, {ssh, vpn});
    const Ruleset table = describe_table(config, {ssh, vpn}, 1);
    for (const Chain& chain : table.chains) run("nft list chain inet oneknock " + chain.name + " > /dev/null");
    for (const Set& set : table.sets) run("nft list set inet oneknock " + set.name + " > /dev/null");
}

TEST_CASE("nft lists the guard's rules in the words of the description") {
    const std::vector<Network> trusted{*Network::parse("10.1.0.0/16"), *Network::parse("10.1.2.0/23"),
                                       *Network::parse("192.0.2.7"),   *Network::parse("2001:db8::/33"),
                                       *Network::parse("::/0"),        *Network::parse("fd00::1")};
    check_listed(trusting(trusted), {ssh, web});
    check_listed(trusting(trusted), {ssh, vpn});
    check_listed(dropping(), {ssh, vpn});
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

TEST_CASE("there is no connection tracking in the table") {
    const TestNetwork network;
    const Firewall firewall = installed({}, {ssh, vpn});
    CHECK(listing().find(" ct ") == std::string::npos);
}

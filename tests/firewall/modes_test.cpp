// Mark mode and set mode, where the rules that close are the administrator's.
#include "server/firewall/firewall.hpp"

#include <cerrno>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

const FirewallConfig set_mode = using_sets("inet", "filter", "knocked4", "knocked6");

Port from_client(const TestNetwork& network, const Address& to, const Address& from) {
    Port result = Port::silent;
    network.in_client([&] { result = connect_tcp(to, 22, from).port; });
    return result;
}

void add_administrators_sets() {
    run("nft add table inet filter");
    run(grant_set_command(Family::ipv4, grant_sets(set_mode).table, "knocked4"));
    run(grant_set_command(Family::ipv6, grant_sets(set_mode).table, "knocked6"));
}

Error install_error(const FirewallConfig& config) {
    auto firewall = Firewall::open(config, {ssh});
    REQUIRE(firewall);
    const auto result = firewall->install({}, now());
    REQUIRE_FALSE(result);
    return result.error();
}

std::string unseen_by_rules(Firewall& firewall) {
    const auto unseen = firewall.what_nobody_looks_at();
    REQUIRE(unseen);
    return unseen->value_or("");
}

}  // namespace

TEST_CASE("mark mode closes nothing and marks granted packets for the administrator's rules") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    Firewall firewall = installed(marking(0x2a), {ssh});
    CHECK(unseen_by_rules(firewall) == "packet marks");
    CHECK(from_client(network, server4, client4) == Port::open);
    run("nft 'table inet filter { chain input { type filter hook input priority 0; meta mark 0x2a accept; "
        "tcp flags & (syn|ack) == syn drop; }; }'");
    CHECK(unseen_by_rules(firewall) == "");
    CHECK(from_client(network, server4, client4) == Port::silent);
    CHECK(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(firewall.open_grant(ssh, client6, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, client4) == Port::open);
    CHECK(from_client(network, server6, client6) == Port::open);
    CHECK(from_client(network, server4, other_client4) == Port::silent);
    run("nft delete table inet oneknock");
    CHECK(from_client(network, server4, client4) == Port::silent);  // our loss closes
    CHECK(firewall.on_watch_readable());
    CHECK(repaired(firewall, now()));
    CHECK(from_client(network, server4, client4) == Port::open);
    CHECK(firewall.remove());
    CHECK(output("nft list tables") == "table inet filter\n");
}

TEST_CASE("set mode keeps its grants in the administrator's sets") {
    const TestNetwork network;
    const auto sshd = listen_tcp(22);
    add_administrators_sets();
    run("nft 'add chain inet filter input { type filter hook input priority 0; }; "
        "add rule inet filter input ip saddr . meta l4proto . th dport @knocked4 accept; "
        "add rule inet filter input tcp flags & (syn|ack) == syn drop'");
    Firewall firewall = installed(set_mode, {ssh});
    CHECK(unseen_by_rules(firewall) == "the set knocked6 of table inet filter");
    run("nft 'add rule inet filter input ip6 saddr . meta l4proto . th dport @knocked6 accept'");
    CHECK(unseen_by_rules(firewall) == "");
    CHECK(from_client(network, server4, client4) == Port::silent);
    CHECK(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(from_client(network, server4, client4) == Port::open);
    CHECK(firewall.close_grant(ssh, client4, now()) == 0);
    CHECK(from_client(network, server4, client4) == Port::silent);
    CHECK(output("nft list tables") == "table inet filter\n");
}

TEST_CASE("set mode puts lost grants back and leaves the administrator's own elements and rules alone") {
    const TestNetwork network;
    add_administrators_sets();
    Firewall firewall = installed(set_mode, {ssh});
    CHECK(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(firewall.open_grant(ssh, client6, Seconds{30}, now()) == 0);
    run("nft 'add chain inet filter input; add rule inet filter input counter'");
    CHECK_FALSE(firewall.on_watch_readable());
    run("nft 'flush set inet filter knocked4; add element inet filter knocked4 { 10.9.9.9 . tcp . 22 }'");
    CHECK(firewall.on_watch_readable());
    CHECK(repaired(firewall, now()));
    CHECK_FALSE(repaired(firewall, now()));
    const auto elements = output("nft list set inet filter knocked4");
    CHECK(elements.find("10.77.0.2 . tcp . 22 timeout") != std::string::npos);
    CHECK(elements.find("10.9.9.9 . tcp . 22") != std::string::npos);

    CHECK(elements.find("comment \"oneknock\"") != std::string::npos);
    CHECK(firewall.foreign_elements() == std::vector{ForeignElement{{{ssh, *Address::parse("10.9.9.9")}}, {}}});

    std::vector<Grant> adopted;
    Firewall next = installed(set_mode, {ssh}, &adopted, {{ssh, client4, Seconds{30}}, {ssh, client6, Seconds{10}}});
    CHECK(adopted.size() == 2);
    CHECK(next.remove());
    const auto left = output("nft list table inet filter");
    CHECK(left.find("10.9.9.9") != std::string::npos);
    CHECK(left.find("10.77.0.2") == std::string::npos);
    CHECK(left.find("fd77::2") == std::string::npos);
}

TEST_CASE("set mode leaves the administrator's element of an address and service alone, unless a grant lasts longer") {
    const TestNetwork network;
    add_administrators_sets();
    Firewall firewall = installed(set_mode, {ssh});
    const auto elements = [] { return output("nft list set inet filter knocked4"); };
    const auto is_administrators = [&] {
        const std::string text = elements();
        return text.find("10.77.0.2 . tcp . 22") != std::string::npos && text.find("comment") == std::string::npos;
    };
    const auto put = [&](const std::string& timeout) {
        run("nft 'flush set inet filter knocked4; add element inet filter knocked4 { 10.77.0.2 . tcp . 22 " + timeout +
            " }'");
        CHECK(firewall.on_watch_readable());
        (void)repaired(firewall, now());
    };
    for (const std::string timeout : {"", "timeout 10m"}) {
        CAPTURE(timeout);
        put(timeout);
        REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
        CHECK(is_administrators());
        CHECK_FALSE(repaired(firewall, now()));
        CHECK(is_administrators());
        REQUIRE(firewall.close_grant(ssh, client4, now()) == 0);
        CHECK(is_administrators());
    }
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{900}, now()) == 0);
    CHECK(elements().find("timeout 15m") != std::string::npos);
    CHECK(elements().find("comment \"oneknock\"") != std::string::npos);
    REQUIRE(firewall.close_grant(ssh, client4, now()) == 0);
    CHECK(elements().find("10.77.0.2") == std::string::npos);
    // What takes the administrator's away brings ours back.
    put("");
    REQUIRE(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    run("nft flush set inet filter knocked4");
    CHECK(firewall.on_watch_readable());
    CHECK(repaired(firewall, now()));
    CHECK(elements().find("10.77.0.2 . tcp . 22 timeout") != std::string::npos);
}

TEST_CASE("set mode recovers when the administrator's table comes back after a reload") {
    const TestNetwork network;
    add_administrators_sets();
    Firewall firewall = installed(set_mode, {ssh});
    CHECK(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    run("nft flush ruleset");
    CHECK(firewall.on_watch_readable());
    CHECK_FALSE(firewall.repair(now()));
    CHECK(firewall.open_grant(ssh, other_client4, Seconds{30}, now()) == ENOENT);
    CHECK(firewall.remove());
    CHECK(firewall.close_grant(ssh, other_client4, now()) == 0);
}

TEST_CASE("set mode gives back live grants once the sets are there again") {
    const TestNetwork network;
    add_administrators_sets();
    Firewall firewall = installed(set_mode, {ssh});
    CHECK(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    run("nft flush ruleset");
    add_administrators_sets();
    CHECK(firewall.on_watch_readable());
    CHECK(repaired(firewall, now()));
    CHECK(output("nft list set inet filter knocked4").find("10.77.0.2 . tcp . 22") != std::string::npos);
}

TEST_CASE("set mode names the command for a missing set, and the command works") {
    const TestNetwork network;
    for (const char* set : {"knocked4", "knocked6"}) {
        const Error error = install_error(set_mode);
        CHECK(error.code == ExitCode::config);
        CAPTURE(error.message);
        CHECK(error.message.find("the set " + std::string(set) + " is not in the nftables table inet filter") == 0);
        run(error.message.substr(error.message.find("nft '")));
    }
    (void)installed(set_mode, {ssh});
}

TEST_CASE("set mode refuses sets that cannot hold grants") {
    const TestNetwork network;
    const auto type = GENERATE(as<std::string>{}, "{ type ipv4_addr . inet_proto . inet_service; }",
                               "{ type ipv4_addr . inet_service; flags timeout; }",
                               "{ type inet_service . inet_proto . ipv4_addr; flags timeout; }",
                               "{ type ipv4_addr . inet_proto . inet_service; flags timeout, interval; }");
    add_administrators_sets();
    run("nft 'delete set inet filter knocked4; add set inet filter knocked4 " + type + "'");
    const Error error = install_error(set_mode);
    CAPTURE(type, error.message);
    CHECK(error.code == ExitCode::config);
    run("nft delete set inet filter knocked4 && " + error.message.substr(error.message.find("nft '")));
    (void)installed(set_mode, {ssh});
}

TEST_CASE("set mode takes sets declared with typeof, in one family alone") {
    const TestNetwork network;
    run("nft 'table ip mine { set s { typeof ip saddr . meta l4proto . th dport; flags timeout; }; }'");
    Firewall firewall = installed(using_sets("ip", "mine", "s", ""), {ssh});
    CHECK(firewall.open_grant(ssh, client4, Seconds{30}, now()) == 0);
    CHECK(output("nft list set ip mine s").find("10.77.0.2 . tcp . 22 timeout 30s") != std::string::npos);
    CHECK(firewall.open_grant(ssh, client6, Seconds{30}, now()) == EAFNOSUPPORT);
    CHECK(firewall.close_grant(ssh, client6, now()) == 0);
}

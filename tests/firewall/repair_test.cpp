// Other programs change or flush the rules: noticed, and put right with the remaining times.
#include "server/firewall/firewall.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>

#include <poll.h>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

bool has_news(const Firewall& firewall) {
    pollfd ready{firewall.watch_descriptor(), POLLIN, 0};
    return poll(&ready, 1, 0) == 1;
}

struct Guarded {
    TestNetwork network;
    Firewall firewall = installed(trusting({*Network::parse("10.77.9.0/24")}), {ssh, web, vpn});
    std::string before;

    Guarded() {
        REQUIRE(firewall.open_grant(ssh, client4, Seconds{40}, now()) == 0);
        REQUIRE(firewall.open_grant(vpn, client6, Seconds{20}, now()) == 0);
        before = timeless(listing());
    }
};

}  // namespace

TEST_CASE("every way to damage the table is noticed and put right") {
    Guarded g;
    const auto damage = GENERATE(
        as<std::string>{}, "flush ruleset", "delete table inet oneknock", "flush table inet oneknock",
        "flush chain inet oneknock guard", "flush chain inet oneknock guarded", "flush set inet oneknock granted4",
        "delete element inet oneknock granted4 { 10.77.0.2 . tcp . 22 }",
        "delete element inet oneknock granted6 { fd77::2 . udp . 51820 }",
        "add element inet oneknock granted4 { 10.77.0.3 . tcp . 22 timeout 1h }",
        "add element inet oneknock granted4 { 10.77.0.3 . tcp . 22 }",
        "add element inet oneknock granted4 { * timeout 1h }",
        "delete element inet oneknock granted4 { 10.77.0.2 . tcp . 22 }; "
        "add element inet oneknock granted4 { 10.77.0.2 . tcp . 22 timeout 1h }",
        "insert rule inet oneknock guard accept", "insert rule inet oneknock guarded tcp dport 22 accept",
        "insert rule inet oneknock guard counter", "flush chain inet oneknock guard_input",
        "flush chain inet oneknock guard; delete chain inet oneknock guard",
        "flush chain inet oneknock guard_input; delete chain inet oneknock guard_input",
        "flush chain inet oneknock guard_output", "flush chain inet oneknock arriving",
        "flush chain inet oneknock delivered", "flush chain inet oneknock from_this_host",
        "insert rule inet oneknock guard_input accept", "insert rule inet oneknock from_this_host accept",
        "insert rule inet oneknock arriving tcp dport 22 accept",
        "insert rule inet oneknock delivered tcp dport 22 accept",
        "add chain inet oneknock guard_input { type filter hook input priority -10; policy drop; }",
        "flush chain inet oneknock guard_input; delete chain inet oneknock guard_input; "
        "add chain inet oneknock guard_input { type filter hook input priority 10; }; "
        "add rule inet oneknock guard_input meta l4proto . th dport @services goto delivered",
        "add chain inet oneknock extra", "add set inet oneknock extra { type ipv4_addr; }",
        "add chain inet oneknock guard { type filter hook prerouting priority -110; policy drop; }",
        "add table inet oneknock { flags dormant; }",
        "delete table inet oneknock; add table inet oneknock; add set inet oneknock granted4 { type ipv4_addr; }");
    CAPTURE(damage);
    REQUIRE_FALSE(has_news(g.firewall));
    run("nft '" + damage + "'");
    REQUIRE(has_news(g.firewall));
    CHECK(g.firewall.on_watch_readable());
    CHECK(repaired(g.firewall, now()));
    CHECK(timeless(listing()) == g.before);
    const std::string text = listing();
    INFO(text);
    CHECK((text.find("10.77.0.2 . tcp . 22 timeout 39s") != std::string::npos ||
           text.find("10.77.0.2 . tcp . 22 timeout 40s") != std::string::npos));
    CHECK_FALSE(has_news(g.firewall));
    CHECK_FALSE(repaired(g.firewall, now()));
}

TEST_CASE("a reload of the administrator's ruleset is noticed, and the ruleset stays") {
    Guarded g;
    const std::string file = output("mktemp");
    std::ofstream(file.substr(0, file.size() - 1))
        << "flush ruleset\ntable inet filter {\nchain input { type filter hook input priority 0; }\n}\n";
    run("nft -f " + file.substr(0, file.size() - 1) + " && rm " + file);
    CHECK(g.firewall.on_watch_readable());
    CHECK(repaired(g.firewall, now()));
    CHECK(timeless(listing()) == g.before);
    CHECK(output("nft list tables").find("table inet filter") != std::string::npos);
}

TEST_CASE("our own changes do not even wake the watch") {
    Guarded g;
    CHECK(g.firewall.open_grant(ssh, other_client4, Seconds{30}, now()) == 0);
    CHECK(g.firewall.close_grant(ssh, other_client4, now()) == 0);
    CHECK_FALSE(repaired(g.firewall, now()));
    CHECK(g.firewall.install({}, now()));
    CHECK(g.firewall.remove());
    CHECK(g.firewall.install({}, now()));
    CHECK_FALSE(has_news(g.firewall));
}

TEST_CASE("changes to other tables are none of ours") {
    Guarded g;
    run("nft 'add table inet other; add chain inet other c; add table ip oneknock; delete table ip oneknock'");
    CHECK(has_news(g.firewall));
    CHECK_FALSE(g.firewall.on_watch_readable());
    CHECK_FALSE(has_news(g.firewall));
}

TEST_CASE("more news than the socket holds count as a change") {
    Guarded g;
    const std::string file = output("mktemp");
    const std::string path = file.substr(0, file.size() - 1);
    std::ofstream rules(path);
    rules << "table ip other {\nset s {\ntype ipv4_addr\nelements = { ";
    for (int i = 0; i < 40000; ++i) rules << "10." << i / 65536 << "." << i / 256 % 256 << "." << i % 256 << ", ";
    rules << " }\n}\n}\n";
    rules.close();
    run("nft -f " + path + " && rm " + path);
    CHECK(g.firewall.on_watch_readable());
    CHECK_FALSE(repaired(g.firewall, now()));
}

TEST_CASE("a grant right after a flush, before any repair, brings the table back itself") {
    Guarded g;
    run("nft flush ruleset");
    CHECK(g.firewall.open_grant(web, client4, Seconds{30}, now()) == 0);
    CHECK(listing().find("10.77.0.2 . tcp . 8443") != std::string::npos);
    CHECK(listing().find("10.77.0.2 . tcp . 22") != std::string::npos);
    CHECK(g.firewall.on_watch_readable());
    CHECK_FALSE(repaired(g.firewall, now()));
}

TEST_CASE("grants that ended in the meantime are not brought back") {
    Guarded g;
    run("nft flush ruleset");
    CHECK(repaired(g.firewall, now() + Seconds{30}));
    CHECK(listing().find("51820 timeout") == std::string::npos);
    CHECK(listing().find("10.77.0.2 . tcp . 22 timeout ") != std::string::npos);
}

TEST_CASE("a set that others filled up is cleared for the next grant") {
    Guarded g;
    const std::string file = output("mktemp");
    const std::string path = file.substr(0, file.size() - 1);
    std::ofstream rules(path);
    for (int i = 0; i < 65535; ++i) {
        if (i % 1000 == 0) rules << (i == 0 ? "" : " }\n") << "add element inet oneknock granted4 { ";
        rules << "10.9." << i / 256 << "." << i % 256 << " . tcp . 22, ";
    }
    rules << " }\n";
    rules.close();
    run("nft -f " + path + " && rm " + path);
    CHECK(g.firewall.open_grant(ssh, client4, Seconds{40}, now()) == 0);  // has its place
    CHECK(g.firewall.open_grant(ssh, other_client4, Seconds{30}, now()) == 0);
    CHECK(g.firewall.on_watch_readable());
    // On a busy machine the kernel may have taken so long that the grants would end late: that is put right now.
    static_cast<void>(repaired(g.firewall, now()));
    CHECK_FALSE(repaired(g.firewall, now()));
    CHECK(g.firewall.close_grant(ssh, other_client4, now()) == 0);
    CHECK(timeless(listing()) == g.before);
}

TEST_CASE("a grant that meets a set of another type repairs the table first") {
    Guarded g;
    run("nft 'delete table inet oneknock; add table inet oneknock; "
        "add set inet oneknock granted4 { type ipv4_addr; }'");
    CHECK(g.firewall.open_grant(ssh, client4, Seconds{40}, now()) == 0);
    CHECK(timeless(listing()) == g.before);
}

TEST_CASE("a flush is repaired in a few milliseconds") {
    Guarded g;
    using Milliseconds = std::chrono::duration<double, std::milli>;
    Milliseconds longest{0};
    for (int i = 0; i < 50; ++i) {
        run("nft flush ruleset");
        const auto begin = std::chrono::steady_clock::now();
        REQUIRE(g.firewall.on_watch_readable());
        REQUIRE(repaired(g.firewall, now()));
        longest = std::max(longest, Milliseconds(std::chrono::steady_clock::now() - begin));
    }
    WARN("longest of 50 repairs after a flush: " << longest.count() << " ms (without the caller's wait)");
    CHECK(timeless(listing()) == g.before);
}

#include "server/firewall/table/ruleset.hpp"

#include <algorithm>
#include <chrono>

#include "server/firewall/table/udp_flows.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const Service ssh{protocol_tcp, 22};
const Service vpn{protocol_udp, 51820};

std::vector<std::string> texts(const Ruleset& ruleset, const std::string& chain) {
    std::vector<std::string> all;
    for (const Rule& rule : ruleset.rules)
        if (rule.chain == chain) all.push_back(rule.text);
    return all;
}

std::vector<std::string> names(const Ruleset& ruleset) {
    std::vector<std::string> all;
    for (const Set& set : ruleset.sets) all.push_back(set.name);
    for (const Chain& chain : ruleset.chains) all.push_back(chain.name);
    return all;
}

}  // namespace

TEST_CASE("the guard's rules stand in their order") {
    FirewallConfig config;
    config.trusted = {*Network::parse("10.1.0.0/16"), *Network::parse("2001:db8::1")};
    const Ruleset guard = describe_table(config, {ssh, vpn}, 1);
    CHECK(guard.table.text() == "inet oneknock");
    CHECK(texts(guard, "guard") == std::vector<std::string>{"meta l4proto . th dport @services goto arriving"});
    CHECK(texts(guard, "guard_input") == std::vector<std::string>{"meta l4proto . th dport @services goto delivered",
                                                                  "frag frag-off 0 goto fragments"});
    CHECK(texts(guard, "fragments") == std::vector<std::string>{"meta l4proto . th dport != @services accept", "drop"});
    CHECK(texts(guard, "arriving") ==
          std::vector<std::string>{"ip frag-off & 8191 != 0 accept", "frag frag-off != 0 accept",
                                   "iifname \"lo\" rt ip nexthop != 0.0.0.0 jump from_this_host",
                                   "iifname \"lo\" rt ip6 nexthop != :: jump from_this_host",
                                   "meta l4proto udp jump returning", "fib daddr type @this_host goto guarded",
                                   "fib daddr . iif type @this_host goto guarded"});
    CHECK(texts(guard, "delivered") == std::vector<std::string>{"ip frag-off & 8191 != 0 accept",
                                                                "frag frag-off != 0 accept",
                                                                "iifname \"lo\" jump from_this_host", "goto guarded"});
    CHECK(texts(guard, "from_this_host") ==
          std::vector<std::string>{"fib saddr type local accept", "ip6 saddr fe80::/10 accept"});
    CHECK(texts(guard, "guarded") ==
          std::vector<std::string>{"ip saddr 10.1.0.0/16 accept", "ip6 saddr 2001:db8::1 accept",
                                   "ip saddr . meta l4proto . th dport @granted4 accept",
                                   "ip6 saddr . meta l4proto . th dport @granted6 accept", "tcp flags rst,ack accept",
                                   "meta l4proto udp jump sessions", "meta pkttype != host drop",
                                   "fib daddr type @shared_addresses drop", "tcp option md5sig length 18 drop",
                                   "meta l4proto tcp reject with tcp reset", "meta l4proto udp reject"});
}

TEST_CASE("outgoing packets are only looked at for the resets of TCP services, to label them or to hold them back") {
    const auto looks_at_output = [](const FirewallConfig& config, const std::vector<Service>& services) {
        return !texts(describe_table(config, services, 1), "guard_output").empty();
    };
    FirewallConfig drop;
    drop.closed = ClosedAnswer::drop;
    CHECK(looks_at_output({}, {ssh, vpn}));
    CHECK_FALSE(looks_at_output({}, {vpn}));
    CHECK(looks_at_output(drop, {ssh, vpn}));
    CHECK_FALSE(looks_at_output(drop, {vpn}));
}

TEST_CASE("with closed = drop, who has no grant gets no reset from a service, wherever it listens") {
    FirewallConfig drop;
    drop.closed = ClosedAnswer::drop;
    drop.trusted = {*Network::parse("10.1.0.0/16")};
    const Ruleset guard = describe_table(drop, {ssh}, 1);
    CHECK(texts(guard, "guard_output") ==
          std::vector<std::string>{"tcp flags == rst meta l4proto . tcp sport @services goto unasked"});
    CHECK(texts(guard, "guard_postrouting") ==
          std::vector<std::string>{
              "tcp flags == rst meta l4proto . tcp sport @services fib saddr type local goto unasked"});
    CHECK(texts(guard, "unasked") == std::vector<std::string>{"oifname \"lo\" accept", "ip daddr 10.1.0.0/16 accept",
                                                              "ip daddr . meta l4proto . th sport @granted4 accept",
                                                              "ip6 daddr . meta l4proto . th sport @granted6 accept",
                                                              "drop"});
}

TEST_CASE("a flow that a client began is judged by who is admitted alone, and what a service asked for comes in") {
    const Ruleset guard = describe_table({}, {ssh, vpn}, 1);
    CHECK(texts(guard, "sessions") == std::vector<std::string>{"ip saddr . udp sport . udp dport @flows4 goto begun",
                                                               "ip6 saddr . udp sport . udp dport @flows6 goto begun",
                                                               "ip saddr . udp sport . udp dport @asked4 accept",
                                                               "ip6 saddr . udp sport . udp dport @asked6 accept"});
    CHECK(texts(guard, "begun") == std::vector<std::string>{"ip saddr . meta l4proto . th dport @admitted4 accept",
                                                            "ip6 saddr . meta l4proto . th dport @admitted6 accept"});
}

TEST_CASE("only what a UDP service sends makes a flow, and none to this host or trusted networks") {
    FirewallConfig config;
    config.trusted = {*Network::parse("10.1.0.0/16")};
    config.udp_idle = Seconds{90};
    const Ruleset guard = describe_table(config, {ssh, vpn}, 1);
    CHECK(texts(guard, "answers") == std::vector<std::string>{"meta l4proto . udp sport @services goto answering"});
    CHECK(texts(guard, "answers_out") ==
          std::vector<std::string>{"meta l4proto . udp sport @services fib saddr type local goto answering"});
    CHECK(texts(guard, "forged") ==
          std::vector<std::string>{"meta l4proto . udp sport @services fib saddr type local drop"});
    CHECK(texts(guard, "answering") ==
          std::vector<std::string>{"oifname \"lo\" accept", "ip daddr 10.1.0.0/16 accept",
                                   "ip daddr . udp dport . udp sport @flows4 goto renew",
                                   "ip6 daddr . udp dport . udp sport @flows6 goto renew",
                                   "ip daddr . meta l4proto . th sport @admitted4 goto begin",
                                   "ip6 daddr . meta l4proto . th sport @admitted6 goto begin", "iif != 0 goto passing",
                                   "update @asked4 { ip daddr . udp dport . udp sport timeout 1m30s }",
                                   "update @asked6 { ip6 daddr . udp dport . udp sport timeout 1m30s }"});
    CHECK(
        texts(guard, "begin") ==
        std::vector<std::string>{"update @paced4 { ip daddr . udp sport timeout 2h limit rate over 4/minute burst 256 "
                                 "packets } accept",
                                 "update @paced6 { ip6 daddr . udp sport timeout 2h limit rate over 4/minute burst "
                                 "256 packets } accept",
                                 "goto renew"});
    CHECK(texts(guard, "renew") ==
          std::vector<std::string>{"update @flows4 { ip daddr . udp dport . udp sport timeout 1m30s }",
                                   "update @flows6 { ip6 daddr . udp dport . udp sport timeout 1m30s }"});
}

TEST_CASE("what other hosts sent through this one lets answers pass at prerouting alone, and no client's flow") {
    const Ruleset guard = describe_table({}, {ssh, vpn}, 1);
    CHECK(texts(guard, "returning") == std::vector<std::string>{"ip saddr . udp sport . udp dport @flows4 return",
                                                                "ip6 saddr . udp sport . udp dport @flows6 return",
                                                                "ip saddr . udp sport . udp dport @through4 accept",
                                                                "ip6 saddr . udp sport . udp dport @through6 accept"});
    CHECK(texts(guard, "passing") ==
          std::vector<std::string>{"update @through4 { ip daddr . udp dport . udp sport timeout 5m }",
                                   "update @through6 { ip6 daddr . udp dport . udp sport timeout 5m }"});
}

TEST_CASE("without a UDP service there is nothing of flows") {
    for (const std::string& name : names(describe_table({}, {ssh}, 1)))
        for (const char* part : {"flows", "admitted", "asked", "answer", "begun", "forged", "paced", "passing", "renew",
                                 "returning", "sessions", "through"})
            CHECK(name.find(part) == std::string::npos);
    CHECK(admission_sets({}, {ssh}).ipv4.empty());
    CHECK(admission_sets({}, {ssh, vpn}).ipv4 == "admitted4");
    FirewallConfig config;
    config.mode = FirewallMode::mark;
    config.mark = 1;
    CHECK(names(describe_table(config, {vpn}, 1)) == names(describe_table(config, {ssh}, 1)));
    CHECK(admission_sets(config, {vpn}).ipv6.empty());
}

TEST_CASE("flows of services that stay are kept, and nothing else that is in their sets") {
    const ByteString of_vpn{10, 9, 9, 9, 0x30, 0x39, 0, 0, 0xca, 0x6c, 0, 0};
    const ByteString of_other{10, 9, 9, 9, 0x30, 0x39, 0, 0, 0, 53, 0, 0};
    const std::chrono::milliseconds left{4000};
    const SetImage set{30541,
                       12,
                       0,
                       65536,
                       {{of_vpn, left},
                        {of_other, left},
                        {of_vpn, std::nullopt},
                        {{}, left},
                        {of_vpn, std::chrono::milliseconds{49}},
                        {{1, 2, 3, 4}, left}}};
    CHECK(flows_in(set, {ssh, vpn}) == std::vector<Element>{{of_vpn, left}});
    CHECK(flows_in(set, {{protocol_tcp, 51820}}).empty());
}

TEST_CASE("closed = drop ends the guard with one silent rule") {
    FirewallConfig config;
    config.closed = ClosedAnswer::drop;
    CHECK(texts(describe_table(config, {ssh, vpn}, 1), "guarded").back() == "drop");
}

TEST_CASE("services are listed once, in order, with padded keys") {
    const Ruleset guard = describe_table({}, {vpn, ssh, ssh}, 1);
    REQUIRE(guard.sets.front().name == "services");
    const auto& elements = guard.sets.front().elements;
    REQUIRE(elements.size() == 2);
    CHECK(to_hex(elements[0]) == "0600000000160000");
    CHECK(to_hex(elements[1]) == "11000000ca6c0000");
}

TEST_CASE("grant sets have nft's key types, the kernel's padded lengths and a size") {
    const Set four = grant_set(Family::ipv4, "a"), six = grant_set(Family::ipv6, "b");
    CHECK((four.key_type == 29453 && four.key_length == 12 && four.size == 65536 && four.timed));
    CHECK((six.key_type == 33549 && six.key_length == 24 && six.size == 65536 && six.timed));
}

TEST_CASE("mark mode marks granted packets and closes nothing") {
    FirewallConfig config;
    config.mode = FirewallMode::mark;
    config.mark = 42;
    const Ruleset mark = describe_table(config, {ssh}, 1);
    CHECK(mark.chains.size() == 1);
    CHECK(texts(mark, "mark_granted") ==
          std::vector<std::string>{"ip saddr . meta l4proto . th dport @granted4 meta mark set 0x0000002a",
                                   "ip6 saddr . meta l4proto . th dport @granted6 meta mark set 0x0000002a"});
}

TEST_CASE("in set mode grants live in the administrator's table") {
    FirewallConfig config;
    config.mode = FirewallMode::set;
    config.set_table_family = "ip6";
    config.set_table = "mine";
    config.set_ipv6 = "s";
    const GrantSets sets = grant_sets(config);
    CHECK(sets.table.text() == "ip6 mine");
    CHECK(sets.of(Family::ipv4).empty());
    CHECK(sets.of(Family::ipv6) == "s");
}

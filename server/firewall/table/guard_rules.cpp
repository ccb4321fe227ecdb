#include "server/firewall/table/guard_rules.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <string>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "server/firewall/table/data_types.hpp"
#include "server/firewall/table/element_key.hpp"
#include "server/firewall/table/expressions.hpp"
#include "server/firewall/table/udp_flows.hpp"

namespace oneknock {
namespace {

// Values of `fib daddr type` (RTN_* of rtnetlink): what this host's own sockets receive. Broadcasts and multicasts
// are among them, or a neighbour could reach a closed UDP service with them.
constexpr std::uint32_t route_local = 2, route_broadcast = 3, route_anycast = 4, route_multicast = 5;

Set service_set(const std::vector<Service>& services) {
    const std::set<Service> sorted(services.begin(), services.end());
    Set set{.name = "services", .key_type = type_service, .key_length = 8, .elements = {}};
    for (const Service& service : sorted) set.elements.push_back(service_key(service));
    return set;
}

Set route_set(const std::string& name, std::initializer_list<std::uint32_t> types) {
    Set set{.name = name, .key_type = type_route, .key_length = 4, .elements = {}};
    for (const auto type : types) set.elements.push_back(host_order(type));
    return set;
}

// From this host itself: by way of the loopback interface, with an address of this host as its source. Anyone with a
// packet socket can put a stranger's packet on that interface. Such a packet has no route yet when it arrives, while
// what this host's own stack has sent still bears the one it was sent by.
void add_own_packets(Ruleset& set) {
    set.rules.push_back(rule("from_this_host", "fib saddr type local accept", {source_is_local(), accept()}));
    // By its interface alone, which is not the loopback interface, the routing tables know such an address as local.
    const Network link_local = *Network::parse("fe80::/10");
    set.rules.push_back(rule("from_this_host", source_text(link_local) + " accept", {source_in(link_local), accept()}));
}

// A later fragment has no port, yet some kernels read its payload, or the IPv6 header, as one.
void add_later_fragments(Ruleset& set, const std::string& chain) {
    set.rules.push_back(rule(chain, "ip frag-off & 8191 != 0 accept", {continues_fragments(Family::ipv4), accept()}));
    set.rules.push_back(rule(chain, "frag frag-off != 0 accept", {continues_fragments(Family::ipv6), accept()}));
}

void add_prerouting(Ruleset& set, bool has_udp) {
    set.rules.push_back(rule("guard", "meta l4proto . th dport @services goto arriving",
                             {service_in("services"), verdict(NFT_GOTO, "arriving")}));
    add_later_fragments(set, "arriving");
    set.rules.push_back(rule("arriving", "iifname \"lo\" rt ip nexthop != 0.0.0.0 jump from_this_host",
                             {interface_is("lo"), has_route(Family::ipv4), verdict(NFT_JUMP, "from_this_host")}));
    set.rules.push_back(rule("arriving", "iifname \"lo\" rt ip6 nexthop != :: jump from_this_host",
                             {interface_is("lo"), has_route(Family::ipv6), verdict(NFT_JUMP, "from_this_host")}));
    if (has_udp) add_way_back(set);
    set.rules.push_back(rule("arriving", "fib daddr type @this_host goto guarded",
                             {destination_type_in("this_host"), verdict(NFT_GOTO, "guarded")}));
    // Addresses in a VRF are not in the table that the rule above asks.
    set.rules.push_back(rule("arriving", "fib daddr . iif type @this_host goto guarded",
                             {destination_type_here_in("this_host"), verdict(NFT_GOTO, "guarded")}));
}

// Here every packet has a route, so that it no longer tells who sent it.
void add_input(Ruleset& set) {
    set.rules.push_back(rule("guard_input", "meta l4proto . th dport @services goto delivered",
                             {service_in("services"), verdict(NFT_GOTO, "delivered")}));
    add_later_fragments(set, "delivered");
    set.rules.push_back(rule("delivered", "iifname \"lo\" jump from_this_host",
                             {interface_is("lo"), verdict(NFT_JUMP, "from_this_host")}));
    set.rules.push_back(rule("delivered", "goto guarded", {verdict(NFT_GOTO, "guarded")}));
}

// The kernel delivers fragments one by one, and then what it has put together to the service, without asking again. A
// first one without a port may be discarded by anyone (RFC 7112, 5; RFC 8200, 4.5), which the kernel does with some.
void add_fragments(Ruleset& set) {
    set.rules.push_back(
        rule("guard_input", "frag frag-off 0 goto fragments", {begins_fragments(), verdict(NFT_GOTO, "fragments")}));
    set.rules.push_back(
        rule("fragments", "meta l4proto . th dport != @services accept", {for_other_than("services"), accept()}));
    set.rules.push_back(rule("fragments", "drop", {verdict(NF_DROP)}));
}

// The kernel labels the flow of its resets, the same each time until it is booted again; nf_tables does not, and sends
// those of the segments that the kernel does not get to see.
void add_label_of_resets(Ruleset& set, std::uint32_t seed) {
    char seed_text[16];
    std::snprintf(seed_text, sizeof seed_text, "0x%x", seed);
    set.chains.push_back({"guard_output", Hook{NF_INET_LOCAL_OUT, before_filter}});
    set.rules.push_back(
        rule("guard_output",
             "tcp flags rst / fin,syn,rst,psh,urg,ecn,cwr ip6 dscp cs0 ip6 ecn not-ect meta l4proto . tcp "
             "sport @services @nh,0,32 set jhash ip6 saddr . ip6 daddr . tcp sport . tcp dport mod "
             "1048576 seed " +
                 std::string(seed_text) + " offset 1610612736",
             {ipv6_reset(), answer_of_service("services"), set_flow_label(seed)}));
}

// To a segment of no session the kernel answers with a reset, which would stand out among silent ports.
void add_silence(Ruleset& set, const FirewallConfig& config) {
    set.chains.push_back({"unasked", {}});
    set.chains.push_back({"guard_output", Hook{NF_INET_LOCAL_OUT, before_filter}});
    set.chains.push_back({"guard_postrouting", Hook{NF_INET_POST_ROUTING, behind_srcnat}});
    set.rules.push_back(rule("guard_output", "tcp flags == rst meta l4proto . tcp sport @services goto unasked",
                             {tcp_flags_are(tcp_rst), answer_of_service("services"), verdict(NFT_GOTO, "unasked")}));
    set.rules.push_back(rule(
        "guard_postrouting", "tcp flags == rst meta l4proto . tcp sport @services fib saddr type local goto unasked",
        {tcp_flags_are(tcp_rst), answer_of_service("services"), source_is_local(), verdict(NFT_GOTO, "unasked")}));
    accept_to_friends(set, "unasked", config);
    for (const Family family : families)
        set.rules.push_back(rule("unasked", answers_granted_text(family, grant_sets(config).of(family)) + " accept",
                                 {answers_granted(family, grant_sets(config).of(family)), accept()}));
    set.rules.push_back(rule("unasked", "drop", {verdict(NF_DROP)}));
}

void add_answers(Ruleset& set, const std::vector<Service>& services, std::uint32_t label_seed) {
    // To these the kernel answers nothing at an unused port either.
    set.sets.push_back(route_set("shared_addresses", {route_broadcast, route_anycast, route_multicast}));
    set.rules.push_back(rule("guarded", "meta pkttype != host drop", {to_others_at_link(), verdict(NF_DROP)}));
    set.rules.push_back(rule("guarded", "fib daddr type @shared_addresses drop",
                             {destination_type_in("shared_addresses"), verdict(NF_DROP)}));
    if (has_any(services, protocol_tcp))
        set.rules.push_back(rule("guarded", "tcp option md5sig length 18 drop", {is_signed(), verdict(NF_DROP)}));
    set.rules.push_back(
        rule("guarded", "meta l4proto tcp reject with tcp reset", {protocol_is(protocol_tcp), reject_tcp()}));
    if (has_any(services, protocol_udp))
        set.rules.push_back(rule("guarded", "meta l4proto udp reject", {protocol_is(protocol_udp), reject_udp()}));
    if (has_any(services, protocol_tcp)) add_label_of_resets(set, label_seed);
}

void add_guarded(Ruleset& set, const FirewallConfig& config, const std::vector<Service>& services,
                 std::uint32_t label_seed) {
    for (const Network& network : config.trusted)
        set.rules.push_back(rule("guarded", source_text(network) + " accept", {source_in(network), accept()}));
    for (const Family family : families)
        set.rules.push_back(rule("guarded", granted_text(family, grant_sets(config).of(family)) + " accept",
                                 {granted(family, grant_sets(config).of(family)), accept()}));
    set.rules.push_back(rule("guarded", "tcp flags rst,ack accept", {tcp_flags_any(tcp_rst | tcp_ack), accept()}));
    if (has_any(services, protocol_udp)) add_udp_flows(set, config);
    if (config.closed == ClosedAnswer::reset) return add_answers(set, services, label_seed);
    set.rules.push_back(rule("guarded", "drop", {verdict(NF_DROP)}));
    if (has_any(services, protocol_tcp)) add_silence(set, config);
}

}  // namespace

bool has_any(const std::vector<Service>& services, std::uint8_t protocol) {
    return std::ranges::any_of(services, [&](const Service& s) { return s.protocol == protocol; });
}

void accept_to_friends(Ruleset& set, const std::string& chain, const FirewallConfig& config) {
    set.rules.push_back(rule(chain, "oifname \"lo\" accept", {leaves_by("lo"), accept()}));
    for (const Network& network : config.trusted)
        set.rules.push_back(rule(chain, destination_text(network) + " accept", {destination_in(network), accept()}));
}

Ruleset describe_guard(const FirewallConfig& config, const std::vector<Service>& services, std::uint32_t label_seed) {
    Ruleset set{.table = grant_sets(config).table,
                .sets = {service_set(services),
                         route_set("this_host", {route_local, route_broadcast, route_anycast, route_multicast})},
                .chains = {{"guarded", {}},
                           {"from_this_host", {}},
                           {"arriving", {}},
                           {"delivered", {}},
                           {"fragments", {}},
                           {"guard", Hook{NF_INET_PRE_ROUTING, before_dstnat}},
                           {"guard_input", Hook{NF_INET_LOCAL_IN, before_filter}}},
                .rules = {}};
    add_own_packets(set);
    add_prerouting(set, has_any(services, protocol_udp));
    add_input(set);
    add_fragments(set);
    add_guarded(set, config, services, label_seed);
    return set;
}

}  // namespace oneknock

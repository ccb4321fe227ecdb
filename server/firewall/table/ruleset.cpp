#include "server/firewall/table/ruleset.hpp"

#include <algorithm>
#include <set>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "server/firewall/table/element_key.hpp"
#include "server/firewall/table/expressions.hpp"
#include "server/firewall/table/grants.hpp"

namespace oneknock {
namespace {

constexpr std::string_view own_table = "oneknock";
constexpr std::string_view own_ipv4 = "granted4";
constexpr std::string_view own_ipv6 = "granted6";

// Before dstnat (-100), so that a port that is forwarded to a container is still the one the client named; behind
// connection tracking (-200).
constexpr std::int32_t priority = -110;

// nft's numbers of data types; a concatenation's is its parts' numbers, 6 bits each.
constexpr std::uint32_t type_ipv4 = 7, type_ipv6 = 8, type_protocol = 12, type_port = 13, type_route = 38;
constexpr std::uint32_t type_service = type_protocol << 6 | type_port;

// Values of `fib daddr type` (RTN_* of rtnetlink): what this host's own sockets receive. Broadcasts and multicasts
// are among them, or a neighbour could reach a closed UDP service with them.
constexpr std::uint32_t route_local = 2, route_broadcast = 3, route_anycast = 4, route_multicast = 5;

Set service_set(const std::vector<Service>& services) {
    const std::set<Service> sorted(services.begin(), services.end());
    Set set{.name = "services", .key_type = type_service, .key_length = 8, .elements = {}};
    for (const Service& service : sorted) set.elements.push_back(service_key(service));
    return set;
}

Set host_set() {
    Set set{.name = "this_host", .key_type = type_route, .key_length = 4, .elements = {}};
    for (const auto type : {route_local, route_broadcast, route_anycast, route_multicast})
        set.elements.push_back(host_order(type));
    return set;
}

void add_closing_rules(Ruleset& set, ClosedAnswer answer, bool any_udp) {
    if (answer == ClosedAnswer::drop) {
        set.rules.push_back(rule("guarded", "drop", {verdict(NF_DROP)}));
        return;
    }
    set.rules.push_back(
        rule("guarded", "meta l4proto tcp reject with tcp reset", {protocol_is(protocol_tcp), reject_tcp()}));
    if (any_udp)
        set.rules.push_back(rule("guarded", "meta l4proto udp reject", {protocol_is(protocol_udp), reject_udp()}));
}

Ruleset describe_guard(const FirewallConfig& config, const std::vector<Service>& services) {
    const bool any_udp = std::ranges::any_of(services, [](const Service& s) { return s.protocol == protocol_udp; });
    Ruleset set{.table = grant_sets(config).table,
                .sets = {service_set(services), host_set()},
                .chains = {{"guarded", {}}, {"guard", priority}},
                .rules = {}};
    set.rules.push_back(rule("guard", "iifname \"lo\" accept", {interface_is("lo"), accept()}));
    set.rules.push_back(rule("guard", "meta l4proto . th dport @services goto guarded",
                             {service_in("services"), verdict(NFT_GOTO, "guarded")}));
    set.rules.push_back(
        rule("guarded", "fib daddr type != @this_host accept", {not_for_this_host("this_host"), accept()}));
    for (const Network& network : config.trusted)
        set.rules.push_back(rule("guarded", source_text(network) + " accept", {source_in(network), accept()}));
    for (const Family family : {Family::ipv4, Family::ipv6})
        set.rules.push_back(rule("guarded", granted_text(family, grant_sets(config).of(family)) + " accept",
                                 {granted(family, grant_sets(config).of(family)), accept()}));
    set.rules.push_back(rule("guarded", "tcp flags rst,ack accept", {tcp_flags_any(tcp_rst | tcp_ack), accept()}));
    if (any_udp)  // the only rule that needs connection tracking
        set.rules.push_back(rule("guarded", "meta l4proto udp ct state established,related accept",
                                 {protocol_is(protocol_udp), tracked_session(), accept()}));
    add_closing_rules(set, config.closed, any_udp);
    return set;
}

Ruleset describe_mark(const FirewallConfig& config) {
    Ruleset set{grant_sets(config).table, {}, {{"mark", priority}}, {}};
    for (const Family family : {Family::ipv4, Family::ipv6})
        set.rules.push_back(rule("mark", granted_text(family, grant_sets(config).of(family)) + mark_text(config.mark),
                                 {granted(family, grant_sets(config).of(family)), set_mark(config.mark)}));
    return set;
}

std::uint8_t family_number(const std::string& name) {
    if (name == "ip") return NFPROTO_IPV4;
    return name == "ip6" ? NFPROTO_IPV6 : NFPROTO_INET;
}

}  // namespace

std::string TableName::text() const {
    const std::string family_text = family == NFPROTO_IPV4 ? "ip" : family == NFPROTO_IPV6 ? "ip6" : "inet";
    return family_text + " " + name;
}

Set grant_set(Family family, const std::string& name) {
    const bool ipv4 = family == Family::ipv4;
    return {.name = name,
            .key_type = (ipv4 ? type_ipv4 : type_ipv6) << 12 | type_service,
            .key_length = ipv4 ? 12U : 24U,
            .size = GrantTable::capacity,
            .timed = true,
            .elements = {}};
}

std::string grant_set_command(Family family, const TableName& table, const std::string& name) {
    return "nft 'add set " + table.text() + " " + name + " { type " +
           (family == Family::ipv4 ? "ipv4_addr" : "ipv6_addr") + " . inet_proto . inet_service; flags timeout; size " +
           std::to_string(GrantTable::capacity) + "; }'";
}

GrantSets grant_sets(const FirewallConfig& config) {
    if (config.mode == FirewallMode::set)
        return {{family_number(config.set_table_family), config.set_table}, config.set_ipv4, config.set_ipv6};
    return {{NFPROTO_INET, std::string(own_table)}, std::string(own_ipv4), std::string(own_ipv6)};
}

Ruleset describe_table(const FirewallConfig& config, const std::vector<Service>& services) {
    Ruleset set = config.mode == FirewallMode::mark ? describe_mark(config) : describe_guard(config, services);
    for (const Family family : {Family::ipv4, Family::ipv6})
        set.sets.push_back(grant_set(family, grant_sets(config).of(family)));
    return set;
}

}  // namespace oneknock

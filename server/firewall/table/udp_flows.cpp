#include "server/firewall/table/udp_flows.hpp"

#include <algorithm>
#include <array>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "common/bytes.hpp"
#include "server/firewall/table/data_types.hpp"
#include "server/firewall/table/expressions.hpp"
#include "server/firewall/table/guard_rules.hpp"

namespace oneknock {
namespace {

// Of one set. An element takes some 100 bytes of the kernel's memory.
constexpr std::uint32_t most_flows = 65536;

// How many flows one address may begin with a service: so many at once, and so many a minute behind that, which makes
// some 6,000 in a day, a tenth of a set, for whoever is malicious, and is enough for an office behind one address. What
// is beyond it is not remembered: it passes as long as its grant lives. Whom the kernel has not seen for so long has
// all of it again anyway.
constexpr OverLimit most_begun{4, 256};
constexpr Seconds pace_kept{2 * 3600};

std::string for_family(const char* name, Family family) {
    return name + std::string(family == Family::ipv4 ? "4" : "6");
}
std::string admitted_set(Family family) { return for_family("admitted", family); }
std::string flow_set(Family family) { return for_family("flows", family); }
std::string asked_set(Family family) { return for_family("asked", family); }
std::string through_set(Family family) { return for_family("through", family); }
std::string pace_set(Family family) { return for_family("paced", family); }

Set set_for_flows(Family family, const std::string& name) {
    const bool ipv4 = family == Family::ipv4;
    return {.name = name,
            .key_type = (ipv4 ? type_ipv4 : type_ipv6) << 12 | type_port << 6 | type_port,
            .key_length = ipv4 ? 12U : 24U,
            .size = most_flows,
            .timed = true,
            .dynamic = true,
            .elements = {}};
}

Set set_for_pace(Family family) {
    Set set = set_for_flows(family, pace_set(family));
    set.key_type >>= 6;
    set.key_length -= 4;
    return set;
}

void add_sets(Ruleset& set) {
    for (const Family family : families) {
        set.sets.push_back(grant_set(family, admitted_set(family)));
        set.sets.push_back(set_for_flows(family, flow_set(family)));
        set.sets.push_back(set_for_flows(family, asked_set(family)));
        set.sets.push_back(set_for_flows(family, through_set(family)));
        set.sets.push_back(set_for_pace(family));
    }
}

// A begun flow is judged by whether it is admitted, and by nothing else; that is also how it ends.
void add_ways_in(Ruleset& set) {
    set.chains.push_back({"sessions", {}});
    set.chains.push_back({"begun", {}});
    set.rules.push_back(
        rule("guarded", "meta l4proto udp jump sessions", {protocol_is(protocol_udp), verdict(NFT_JUMP, "sessions")}));
    for (const Family family : families)
        set.rules.push_back(rule("sessions", of_flow_text(family, flow_set(family)) + " goto begun",
                                 {of_flow(family, flow_set(family)), verdict(NFT_GOTO, "begun")}));
    for (const Family family : families)
        set.rules.push_back(rule("sessions", of_flow_text(family, asked_set(family)) + " accept",
                                 {of_flow(family, asked_set(family)), accept()}));
    for (const Family family : families)
        set.rules.push_back(rule("begun", granted_text(family, admitted_set(family)) + " accept",
                                 {granted(family, admitted_set(family)), accept()}));
}

void add_ways_out(Ruleset& set) {
    set.chains.push_back({"passing", {}});
    set.chains.push_back({"answering", {}});
    set.chains.push_back({"begin", {}});
    set.chains.push_back({"renew", {}});
    set.chains.push_back({"answers", Hook{NF_INET_LOCAL_OUT, before_filter}});
    set.chains.push_back({"forged", Hook{NF_INET_FORWARD, before_filter}});
    set.chains.push_back({"answers_out", Hook{NF_INET_POST_ROUTING, behind_srcnat}});
    set.rules.push_back(
        rule("answers", "meta l4proto . udp sport @services goto answering",
             {protocol_is(protocol_udp), answer_of_service("services"), verdict(NFT_GOTO, "answering")}));
    set.rules.push_back(rule(
        "answers_out", "meta l4proto . udp sport @services fib saddr type local goto answering",
        {protocol_is(protocol_udp), answer_of_service("services"), source_is_local(), verdict(NFT_GOTO, "answering")}));
    // Nothing that goes through this host has an address of it as its source before srcnat; IPv6 lets forged ones pass.
    set.rules.push_back(
        rule("forged", "meta l4proto . udp sport @services fib saddr type local drop",
             {protocol_is(protocol_udp), answer_of_service("services"), source_is_local(), verdict(NF_DROP)}));
}

// To whom a flow would mean nothing, there is none: this host itself, and trusted networks.
void add_answering(Ruleset& set, const FirewallConfig& config) {
    accept_to_friends(set, "answering", config);
    for (const Family family : families)
        set.rules.push_back(rule("answering", answers_flow_text(family, flow_set(family)) + " goto renew",
                                 {answers_flow(family, flow_set(family)), verdict(NFT_GOTO, "renew")}));
    for (const Family family : families)
        set.rules.push_back(rule("answering", answers_granted_text(family, admitted_set(family)) + " goto begin",
                                 {answers_granted(family, admitted_set(family)), verdict(NFT_GOTO, "begin")}));
    for (const Family family : families)
        set.rules.push_back(rule("begin",
                                 too_many_answers_text(family, pace_set(family), pace_kept, most_begun) + " accept",
                                 {too_many_answers(family, pace_set(family), pace_kept, most_begun), accept()}));
    set.rules.push_back(rule("begin", "goto renew", {verdict(NFT_GOTO, "renew")}));
    set.rules.push_back(
        rule("answering", "iif != 0 goto passing", {goes_through_this_host(), verdict(NFT_GOTO, "passing")}));
    for (const auto& [chain, name] :
         {std::pair{"answering", &asked_set}, {"passing", &through_set}, {"renew", &flow_set}})
        for (const Family family : families)
            set.rules.push_back(rule(chain, remember_flow_text(family, name(family), config.udp_idle),
                                     {remember_flow(family, name(family), config.udp_idle)}));
}

}  // namespace

GrantSets admission_sets(const FirewallConfig& config, const std::vector<Service>& services) {
    GrantSets sets{grant_sets(config).table, {}, {}};
    if (config.mode != FirewallMode::guard || !has_any(services, protocol_udp)) return sets;
    sets.ipv4 = admitted_set(Family::ipv4);
    sets.ipv6 = admitted_set(Family::ipv6);
    return sets;
}

// A flow that a client began is not taken for one of these.
void add_way_back(Ruleset& set) {
    set.chains.push_back({"returning", {}});
    set.rules.push_back(rule("arriving", "meta l4proto udp jump returning",
                             {protocol_is(protocol_udp), verdict(NFT_JUMP, "returning")}));
    for (const Family family : families)
        set.rules.push_back(rule("returning", of_flow_text(family, flow_set(family)) + " return",
                                 {of_flow(family, flow_set(family)), verdict(NFT_RETURN)}));
    for (const Family family : families)
        set.rules.push_back(rule("returning", of_flow_text(family, through_set(family)) + " accept",
                                 {of_flow(family, through_set(family)), accept()}));
}

void add_udp_flows(Ruleset& set, const FirewallConfig& config) {
    add_sets(set);
    add_ways_in(set);
    add_ways_out(set);
    add_answering(set, config);
}

std::vector<std::string> sets_of_flows() { return {flow_set(Family::ipv4), flow_set(Family::ipv6)}; }
std::vector<std::string> sets_of_asked() {
    return {asked_set(Family::ipv4), asked_set(Family::ipv6), through_set(Family::ipv4), through_set(Family::ipv6)};
}

std::vector<Element> flows_in(const SetImage& set, const std::vector<Service>& services) {
    constexpr std::size_t port_part = 4;  // of a key, padded; the service's port comes last
    std::vector<Element> flows;
    for (const Element& element : set.elements) {
        if (element.key.size() != set.key_length || element.key.size() < port_part) continue;
        const Service service{protocol_udp, load_u16be(&element.key[element.key.size() - port_part])};
        if (element.remaining >= shortest_timeout && std::ranges::find(services, service) != services.end())
            flows.push_back(element);
    }
    return flows;
}

}  // namespace oneknock

#include "server/firewall/table/ruleset.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "server/firewall/table/data_types.hpp"
#include "server/firewall/table/expressions.hpp"
#include "server/firewall/table/grants.hpp"
#include "server/firewall/table/guard_rules.hpp"

namespace oneknock {
namespace {

constexpr std::string_view own_ipv4 = "granted4";
constexpr std::string_view own_ipv6 = "granted6";

Ruleset describe_mark(const FirewallConfig& config) {
    Ruleset set{grant_sets(config).table, {}, {{"mark_granted", Hook{NF_INET_PRE_ROUTING, before_dstnat}}}, {}};
    for (const Family family : families)
        set.rules.push_back(rule("mark_granted",
                                 granted_text(family, grant_sets(config).of(family)) + mark_text(config.mark),
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
            .dynamic = false,
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
    return {{NFPROTO_INET, config.own_table}, std::string(own_ipv4), std::string(own_ipv6)};
}

Ruleset describe_table(const FirewallConfig& config, const std::vector<Service>& services, std::uint32_t label_seed) {
    Ruleset set =
        config.mode == FirewallMode::mark ? describe_mark(config) : describe_guard(config, services, label_seed);
    for (const Family family : families) set.sets.push_back(grant_set(family, grant_sets(config).of(family)));
    return set;
}

}  // namespace oneknock

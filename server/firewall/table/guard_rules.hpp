// The rules of guard mode. Two base chains close the same services by the same rules: at hook prerouting, under the
// port that the client named, before a port that is published for a container is translated; at hook input, where every
// packet is one for this host, whichever routing table or VRF says so, under the port that the service listens on.
// A packet that the first has closed never gets to the second.
//
// Three chains of their own decide between a service's packet and its verdict:
//   arriving        at prerouting: what this host has sent itself goes on, what is for this host is guarded
//   delivered       at input: the same, but everything is for this host
//   guarded         trusted, granted, of a session: accept; the rest is closed
#pragma once

#include <string>
#include <vector>

#include "server/firewall/table/ruleset.hpp"

namespace oneknock {

// Where our chains stand: before dstnat (-100), so that a port that is forwarded to a container is still the one the
// client named, and behind connection tracking (-200); at input and output before the administrator's filters (0).
inline constexpr std::int32_t before_dstnat = -110, before_filter = -10;
// Behind srcnat (100), where an answer from a container bears the port again that the client named.
inline constexpr std::int32_t behind_srcnat = 110;

[[nodiscard]] bool has_any(const std::vector<Service>& services, std::uint8_t protocol);

// On the ways out: to this host itself and to trusted networks, `chain` has nothing to do.
void accept_to_friends(Ruleset& set, const std::string& chain, const FirewallConfig& config);

// Chains, rules and constant sets; the sets of grants are missing.
[[nodiscard]] Ruleset describe_guard(const FirewallConfig& config, const std::vector<Service>& services,
                                     std::uint32_t label_seed);

}  // namespace oneknock

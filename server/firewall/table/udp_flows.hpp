// UDP sessions of guard mode. UDP has no first packet of a session, so what was begun is remembered: a *flow* is an
// address, a port there, and the service's port here. No connection tracking: it forgets a silent session after two
// minutes, does not know what it was told not to track, and is emptied by others.
//
// Five pairs of timed sets, one set for each family:
//   admitted   who has, or lately had, a grant of a service: as long as an element is there, flows with that address
//              may go on. The daemon's, like grants: a close or a revocation takes it out, and all its flows end.
//   flows      what a service has sent to an address that is admitted. Filled and renewed by the service's own packets
//              alone, on their way out: whoever forges a client's address makes no flow, and keeps none alive.
//   paced      how many of these an address has made of late: one client alone cannot fill the set
//   asked      what a service has sent to anyone else, of its own accord: the answers come in. A flow that the client
//              began is not taken for one of these, also when it is not admitted any more.
//   through    what other hosts have sent through this one, from such a port after source NAT: the answers pass the
//              guard at prerouting, behind which the kernel translates them back; not at input, where they end up once
//              it has forgotten whose they are
//
// The ways out mirror the ways in: hook output, under the port that the service listens on, and hook postrouting behind
// source NAT, under the port that the client named.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/firewall/table/compare.hpp"
#include "server/firewall/table/ruleset.hpp"

namespace oneknock {

// The sets of who is admitted; empty names where none is kept.
[[nodiscard]] GrantSets admission_sets(const FirewallConfig& config, const std::vector<Service>& services);

// Of `arriving`, where what is for this host has not been closed yet.
void add_way_back(Ruleset& set);
// Sets, chains and rules; those of `guarded` come where it stands.
void add_udp_flows(Ruleset& set, const FirewallConfig& config);

// The sets that rules fill. What is in `asked` and `through` was nobody's permission: a start forgets it.
[[nodiscard]] std::vector<std::string> sets_of_flows();
[[nodiscard]] std::vector<std::string> sets_of_asked();

// Elements of such a set that are still flows of these services, to be put into a table that is built anew.
[[nodiscard]] std::vector<Element> flows_in(const SetImage& set, const std::vector<Service>& services);

}  // namespace oneknock

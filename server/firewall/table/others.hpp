// What other software has in nf_tables that may drop what a grant lets in: chains at the hooks where ours are. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/firewall/table/compare.hpp"

namespace oneknock {

struct NamedChain {
    TableName table;
    std::string name;
    ChainImage image;  // without its rules
};

// Known software by the chains it makes: "ufw", "firewalld", "Docker", "fail2ban", "CrowdSec"; each once.
[[nodiscard]] std::vector<std::string> software_in(const std::vector<NamedChain>& chains);

// Packets for this host pass it, and it may drop them: its hook is prerouting or input, its policy or its last rule to
// drop or reject.
[[nodiscard]] bool is_on_the_way(const NamedChain& chain);
[[nodiscard]] bool drops_the_rest(const ChainImage& chain);

// Whether a table's rules say something about a service's port. How, nobody can tell without doing what they say.
enum class Mention : std::uint8_t {
    named,       // a rule compares the port, or a set holds it
    none,        // no rule does
    unreadable,  // there are rules in another language (xtables): iptables shows them
};
[[nodiscard]] Mention mention_of(const Service& service, const TableImage& table);

}  // namespace oneknock

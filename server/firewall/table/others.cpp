#include "server/firewall/table/others.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include <linux/netfilter.h>

namespace oneknock {
namespace {

struct Sign {
    std::string_view software, chain, table;  // what its name begins with
};
constexpr Sign signs[] = {{"ufw", "ufw", ""},       {"firewalld", "", "firewalld"}, {"Docker", "DOCKER", ""},
                          {"fail2ban", "f2b-", ""}, {"fail2ban", "", "f2b-"},       {"CrowdSec", "", "crowdsec"}};

bool bears(const NamedChain& chain, const Sign& sign) {
    return chain.name.starts_with(sign.chain) && chain.table.name.starts_with(sign.table);
}

// As libnftnl has it in its texts: the bytes of a value, in numbers of this machine's order.
std::string value_text(std::uint16_t port) {
    const std::array<std::uint8_t, 4> bytes{static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port), 0,
                                            0};
    std::uint32_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof number);
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0x%08x", number);
    return text.data();
}

// The destination port, in TCP and in UDP.
bool compares_port(const std::string& rule, std::uint16_t port) {
    return rule.find("@ transport header + 2") != std::string::npos && rule.find(value_text(port)) != std::string::npos;
}

bool begins_with_port(const Element& element, std::uint16_t port) {
    return element.key.size() >= 2 && element.key[0] == port >> 8 && element.key[1] == (port & 0xff);
}

bool holds_port(const SetImage& set, std::uint16_t port) {
    constexpr std::uint32_t port_and_padding = 4;
    return set.key_length <= port_and_padding &&
           std::ranges::any_of(set.elements, [&](const Element& each) { return begins_with_port(each, port); });
}

bool ends_all(const std::string& rule) {
    const auto holds = [&](const char* part) { return rule.find(part) != std::string::npos; };
    const bool has_condition = holds("cmp") || holds("lookup") || holds("match") || holds("limit") || holds("range");
    return !has_condition && (holds("reg 0 drop") || holds("reject"));
}

}  // namespace

std::vector<std::string> software_in(const std::vector<NamedChain>& chains) {
    std::vector<std::string> found;
    for (const Sign& sign : signs) {
        const bool is_there = std::ranges::any_of(chains, [&](const NamedChain& chain) { return bears(chain, sign); });
        if (is_there && std::ranges::find(found, sign.software) == found.end()) found.emplace_back(sign.software);
    }
    return found;
}

bool is_on_the_way(const NamedChain& chain) {
    const bool has_family =
        chain.table.family == NFPROTO_INET || chain.table.family == NFPROTO_IPV4 || chain.table.family == NFPROTO_IPV6;
    return has_family && chain.image.base &&
           (chain.image.hook == NF_INET_PRE_ROUTING || chain.image.hook == NF_INET_LOCAL_IN);
}

bool drops_the_rest(const ChainImage& chain) {
    return chain.policy == NF_DROP || (!chain.rules.empty() && ends_all(chain.rules.back()));
}

Mention mention_of(const Service& service, const TableImage& table) {
    bool is_unreadable = false;
    for (const auto& [name, chain] : table.chains)
        for (const std::string& rule : chain.rules) {
            if (compares_port(rule, service.port)) return Mention::named;
            is_unreadable = is_unreadable || rule.find("match") != std::string::npos;
        }
    for (const auto& [name, set] : table.sets)
        if (holds_port(set, service.port)) return Mention::named;
    return is_unreadable ? Mention::unreadable : Mention::none;
}

}  // namespace oneknock

// Reading a table back, and what reading back our own description should give.
#include <cerrno>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "server/firewall/nft/handles.hpp"
#include "server/firewall/nft/nft.hpp"

namespace oneknock::nft {
namespace {

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : std::string(text); }

ChainImage image_of_chain(const nftnl_chain* chain) {
    ChainImage image;
    image.base = nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM);
    if (!image.base) return image;
    image.type = text_or_empty(nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE));
    image.hook = nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM);
    image.priority = nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO);
    image.policy = nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY);
    return image;
}

SetImage image_of_set(const nftnl_set* set) {
    SetImage image;
    image.key_type = nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE);
    image.key_length = nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN);
    image.flags = nftnl_set_get_u32(set, NFTNL_SET_FLAGS);
    image.size = nftnl_set_get_u32(set, NFTNL_SET_DESC_SIZE);
    return image;
}

Element image_of_element(nftnl_set_elem* element) {
    Element image;
    std::uint32_t length = 0;
    const auto* key = static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length));
    if (key != nullptr) image.key.assign(key, key + length);
    image.is_ours = has_our_comment(element);
    if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_EXPIRATION))
        image.remaining = std::chrono::milliseconds(nftnl_set_elem_get_u64(element, NFTNL_SET_ELEM_EXPIRATION));
    return image;
}

SetHandle set_named(const TableName& table, const std::string& name) {
    SetHandle set = new_set();
    nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.name.c_str());
    if (!name.empty()) nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
    return set;
}

}  // namespace

int Socket::read_flags(const TableName& table, TableImage& image) {
    const auto fill = [&](nlmsghdr* request) {
        const TableHandle wanted = new_table();
        nftnl_table_set_str(wanted.get(), NFTNL_TABLE_NAME, table.name.c_str());
        nftnl_table_nlmsg_build_payload(request, wanted.get());
    };
    return ask({NFT_MSG_GETTABLE, table.family, false}, fill, [&](const nlmsghdr* answer) {
        const TableHandle found = new_table();
        if (nftnl_table_nlmsg_parse(answer, found.get()) < 0) return false;
        image.flags = nftnl_table_get_u32(found.get(), NFTNL_TABLE_FLAGS);
        return true;
    });
}

int Socket::read_chains(const TableName& table, TableImage& image) {
    image.chains.clear();
    const auto everything = [](nlmsghdr*) {};
    return ask({NFT_MSG_GETCHAIN, table.family, true}, everything, [&](const nlmsghdr* answer) {
        const ChainHandle found = new_chain();
        if (nftnl_chain_nlmsg_parse(answer, found.get()) < 0) return false;
        if (text_or_empty(nftnl_chain_get_str(found.get(), NFTNL_CHAIN_TABLE)) == table.name)
            image.chains[text_or_empty(nftnl_chain_get_str(found.get(), NFTNL_CHAIN_NAME))] =
                image_of_chain(found.get());
        return true;
    });
}

int Socket::read_rules(const TableName& table, TableImage& image) {
    for (auto& [name, chain] : image.chains) chain.rules.clear();
    const auto fill = [&](nlmsghdr* request) {
        const RuleHandle wanted = new_rule();
        nftnl_rule_set_str(wanted.get(), NFTNL_RULE_TABLE, table.name.c_str());
        nftnl_rule_nlmsg_build_payload(request, wanted.get());
    };
    return ask({NFT_MSG_GETRULE, table.family, true}, fill, [&](const nlmsghdr* answer) {
        const RuleHandle found = new_rule();
        if (nftnl_rule_nlmsg_parse(answer, found.get()) < 0) return false;
        if (text_or_empty(nftnl_rule_get_str(found.get(), NFTNL_RULE_TABLE)) == table.name)
            image.chains[text_or_empty(nftnl_rule_get_str(found.get(), NFTNL_RULE_CHAIN))].rules.push_back(
                expressions_text(found.get()));
        return true;
    });
}

int Socket::read_sets(const TableName& table, const std::optional<std::string>& only,
                      std::map<std::string, SetImage>& sets) {
    sets.clear();
    const auto fill = [&](nlmsghdr* request) {
        nftnl_set_nlmsg_build_payload(request, set_named(table, only.value_or("")).get());
    };
    return ask({NFT_MSG_GETSET, table.family, !only}, fill, [&](const nlmsghdr* answer) {
        const SetHandle found = new_set();
        if (nftnl_set_nlmsg_parse(answer, found.get()) < 0) return false;
        if (text_or_empty(nftnl_set_get_str(found.get(), NFTNL_SET_TABLE)) == table.name)
            sets[text_or_empty(nftnl_set_get_str(found.get(), NFTNL_SET_NAME))] = image_of_set(found.get());
        return true;
    });
}

int Socket::read_elements(const TableName& table, const std::string& name, SetImage& set) {
    std::vector<Element> elements;
    const auto fill = [&](nlmsghdr* request) {
        elements.clear();  // of an interrupted dump
        nftnl_set_elems_nlmsg_build_payload(request, set_named(table, name).get());
    };
    const auto add = [](nftnl_set_elem* element, void* to) {
        static_cast<std::vector<Element>*>(to)->push_back(image_of_element(element));
        return 0;
    };
    const int error = ask({NFT_MSG_GETSETELEM, table.family, true}, fill, [&](const nlmsghdr* answer) {
        const SetHandle found = new_set();
        if (nftnl_set_elems_nlmsg_parse(answer, found.get()) < 0) return false;
        return nftnl_set_elem_foreach(found.get(), add, &elements) == 0;
    });
    set.elements = std::move(elements);
    return error;
}

Result<std::optional<TableImage>> Socket::read_table(const TableName& table) {
    TableImage image;
    int error = read_flags(table, image);
    if (error == 0) error = read_chains(table, image);
    if (error == 0) error = read_rules(table, image);
    if (error == 0) error = read_sets(table, std::nullopt, image.sets);
    for (auto& [name, set] : image.sets)
        if (error == 0) error = read_elements(table, name, set);
    if (error == ENOENT) return std::nullopt;  // also when it vanished between two of the questions
    if (error != 0) return tl::unexpected(error);
    return image;
}

Result<std::optional<SetImage>> Socket::read_set(const TableName& table, const std::string& set) {
    std::map<std::string, SetImage> found;
    int error = read_sets(table, set, found);
    if (error == 0 && found.contains(set)) error = read_elements(table, set, found[set]);
    if (error == ENOENT || (error == 0 && !found.contains(set))) return std::nullopt;
    if (error != 0) return tl::unexpected(error);
    return found[set];
}

Result<std::vector<NamedChain>> Socket::all_chains() {
    std::vector<NamedChain> chains;
    const auto begin = [&](nlmsghdr*) { chains.clear(); };
    const int error = ask({NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, true}, begin, [&](const nlmsghdr* answer) {
        const ChainHandle found = new_chain();
        if (nftnl_chain_nlmsg_parse(answer, found.get()) < 0) return false;
        chains.push_back({{static_cast<std::uint8_t>(nftnl_chain_get_u32(found.get(), NFTNL_CHAIN_FAMILY)),
                           text_or_empty(nftnl_chain_get_str(found.get(), NFTNL_CHAIN_TABLE))},
                          text_or_empty(nftnl_chain_get_str(found.get(), NFTNL_CHAIN_NAME)),
                          image_of_chain(found.get())});
        return true;
    });
    if (error != 0) return tl::unexpected(error);
    return chains;
}

// Of all families.
Result<bool> Socket::any_rule(const std::function<bool(const TableName& table, const std::string& text)>& is_wanted) {
    bool found = false;
    const auto begin = [&](nlmsghdr*) { found = false; };
    const int error = ask({NFT_MSG_GETRULE, NFPROTO_UNSPEC, true}, begin, [&](const nlmsghdr* answer) {
        const RuleHandle rule = new_rule();
        if (nftnl_rule_nlmsg_parse(answer, rule.get()) < 0) return false;
        const TableName table{static_cast<std::uint8_t>(nftnl_rule_get_u32(rule.get(), NFTNL_RULE_FAMILY)),
                              text_or_empty(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE))};
        found = found || is_wanted(table, expressions_text(rule.get()));
        return true;
    });
    if (error != 0) return tl::unexpected(error);
    return found;
}

Result<bool> Socket::any_rule_looks_up(const TableName& table, const std::string& set) {
    return any_rule([&](const TableName& of, const std::string& text) {
        return of.name == table.name && of.family == table.family && text.find(" set " + set + " ") != text.npos;
    });
}

// As nft's own rules do it, and as those that iptables-nft makes.
Result<bool> Socket::any_rule_reads_mark(const TableName& but) {
    return any_rule([&](const TableName& of, const std::string& text) {
        return (of.name != but.name || of.family != but.family) &&
               (text.find("meta: load mark") != text.npos || text.find("match: name mark") != text.npos);
    });
}

std::uint32_t flags_of(const Set& set) {
    if (!set.timed) return NFT_SET_CONSTANT;
    return set.dynamic ? NFT_SET_TIMEOUT | NFT_SET_EVAL : NFT_SET_TIMEOUT;
}

TableImage image_of(const Ruleset& ruleset) {
    TableImage image;
    for (const Set& set : ruleset.sets) {
        SetImage& to = image.sets[set.name];
        to = {set.key_type, set.key_length, flags_of(set), set.size, {}};
        for (const ByteString& key : set.elements) to.elements.push_back({key, std::nullopt});
    }
    for (const Chain& chain : ruleset.chains) {
        ChainImage& to = image.chains[chain.name];
        if (chain.hook) to = {true, "filter", chain.hook->number, chain.hook->priority, NF_ACCEPT, {}};
    }
    for (const Rule& rule : ruleset.rules) image.chains[rule.chain].rules.push_back(text_of(ruleset.table, rule));
    return image;
}

}  // namespace oneknock::nft

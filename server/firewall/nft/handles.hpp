// Owning pointers for libnftnl's objects. Included in this folder only.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include "server/firewall/table/ruleset.hpp"

namespace oneknock::nft {

template <class T, void (*free_object)(const T*)>
struct FreeObject {
    void operator()(T* object) const { free_object(object); }
};

// libnftnl allocates small objects; without memory for them there is nothing sensible left to do.
template <class T>
T* allocated(T* object) {
    if (object == nullptr) std::abort();
    return object;
}

using TableHandle = std::unique_ptr<nftnl_table, FreeObject<nftnl_table, nftnl_table_free>>;
using ChainHandle = std::unique_ptr<nftnl_chain, FreeObject<nftnl_chain, nftnl_chain_free>>;
using RuleHandle = std::unique_ptr<nftnl_rule, FreeObject<nftnl_rule, nftnl_rule_free>>;
using SetHandle = std::unique_ptr<nftnl_set, FreeObject<nftnl_set, nftnl_set_free>>;

inline TableHandle new_table() { return TableHandle(allocated(nftnl_table_alloc())); }
inline ChainHandle new_chain() { return ChainHandle(allocated(nftnl_chain_alloc())); }
inline RuleHandle new_rule() { return RuleHandle(allocated(nftnl_rule_alloc())); }
inline SetHandle new_set() { return SetHandle(allocated(nftnl_set_alloc())); }

// Whether a message lies within these bytes. libmnl alone takes a length of 2 GiB or more for a negative one, which
// does.
[[nodiscard]] inline bool is_whole(const nlmsghdr* message, int left) {
    return mnl_nlmsg_ok(message, left) && message->nlmsg_len <= static_cast<std::uint32_t>(left);
}

// A rule of ours as libnftnl's object (rule.cpp), and any such object's expressions as text.
[[nodiscard]] RuleHandle build_rule(const TableName& table, const Rule& rule);
[[nodiscard]] std::string expressions_text(const nftnl_rule* rule);

// Our comment on an element, as nft shows it: comment "oneknock".
void set_comment(nftnl_set_elem* element);
[[nodiscard]] bool has_our_comment(nftnl_set_elem* element);

}  // namespace oneknock::nft

// Batches: NFNL_MSG_BATCH_BEGIN, one message per change, NFNL_MSG_BATCH_END.
#include <algorithm>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "server/firewall/nft/handles.hpp"
#include "server/firewall/nft/nft.hpp"

namespace oneknock::nft {
namespace {

// More than any of our messages takes: a rule stays below 2 KiB, the elements of one message below 10 KiB.
constexpr std::size_t room = 16 * 1024;
constexpr std::size_t elements_per_message = 100;

}  // namespace

Batch::Batch(TableName table) : table_(std::move(table)), buffer_(room + 4096) {
    finish(nftnl_batch_begin(buffer_.data(), 0));
}

nlmsghdr* Batch::start(std::uint16_t type, std::uint16_t flags, std::string label) {
    if (buffer_.size() - used_ < room) buffer_.resize(buffer_.size() * 2);
    labels_.push_back(std::move(label));
    return nftnl_nlmsg_build_hdr(buffer_.data() + used_, type, table_.family, flags, 0);
}

void Batch::finish(const nlmsghdr* message) { used_ += MNL_ALIGN(message->nlmsg_len); }

void Batch::add_table() {
    nlmsghdr* message = start(NFT_MSG_NEWTABLE, NLM_F_CREATE, "the table");
    const TableHandle table = new_table();
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, table_.name.c_str());
    nftnl_table_set_u32(table.get(), NFTNL_TABLE_FLAGS, 0);
    nftnl_table_nlmsg_build_payload(message, table.get());
    finish(message);
}

void Batch::delete_table() {
    nlmsghdr* message = start(NFT_MSG_DELTABLE, 0, "deleting the table");
    const TableHandle table = new_table();
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, table_.name.c_str());
    nftnl_table_nlmsg_build_payload(message, table.get());
    finish(message);
}

void Batch::add(const Set& set) {
    nlmsghdr* message = start(NFT_MSG_NEWSET, NLM_F_CREATE, "set " + set.name);
    const SetHandle handle = new_set();
    nftnl_set_set_str(handle.get(), NFTNL_SET_TABLE, table_.name.c_str());
    nftnl_set_set_str(handle.get(), NFTNL_SET_NAME, set.name.c_str());
    nftnl_set_set_u32(handle.get(), NFTNL_SET_ID, static_cast<std::uint32_t>(labels_.size()));  // unique in the batch
    nftnl_set_set_u32(handle.get(), NFTNL_SET_FLAGS, flags_of(set));
    nftnl_set_set_u32(handle.get(), NFTNL_SET_KEY_TYPE, set.key_type);
    nftnl_set_set_u32(handle.get(), NFTNL_SET_KEY_LEN, set.key_length);
    if (set.size != 0) nftnl_set_set_u32(handle.get(), NFTNL_SET_DESC_SIZE, set.size);
    nftnl_set_nlmsg_build_payload(message, handle.get());
    finish(message);
    std::vector<Element> elements;
    for (const ByteString& key : set.elements) elements.push_back({key, std::nullopt});
    add_elements(set.name, elements);
}

void Batch::add(const Chain& chain) {
    nlmsghdr* message = start(NFT_MSG_NEWCHAIN, NLM_F_CREATE, "chain " + chain.name);
    const ChainHandle handle = new_chain();
    nftnl_chain_set_str(handle.get(), NFTNL_CHAIN_TABLE, table_.name.c_str());
    nftnl_chain_set_str(handle.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
    if (chain.hook) {
        nftnl_chain_set_str(handle.get(), NFTNL_CHAIN_TYPE, "filter");
        nftnl_chain_set_u32(handle.get(), NFTNL_CHAIN_HOOKNUM, chain.hook->number);
        nftnl_chain_set_s32(handle.get(), NFTNL_CHAIN_PRIO, chain.hook->priority);
        nftnl_chain_set_u32(handle.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
    }
    nftnl_chain_nlmsg_build_payload(message, handle.get());
    finish(message);
}

void Batch::add(const Rule& rule) {
    nlmsghdr* message = start(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "rule \"" + rule.text + "\"");
    nftnl_rule_nlmsg_build_payload(message, build_rule(table_, rule).get());
    finish(message);
}

void Batch::add_elements(const std::string& set, std::span<const Element> elements) {
    change_elements(NFT_MSG_NEWSETELEM, set, elements);
}

void Batch::delete_elements(const std::string& set, std::span<const Element> elements) {
    change_elements(NFT_MSG_DELSETELEM, set, elements);
}

void Batch::empty_set(const std::string& set) {
    nlmsghdr* message = start(NFT_MSG_DELSETELEM, 0, "emptying set " + set);
    const SetHandle handle = new_set();
    nftnl_set_set_str(handle.get(), NFTNL_SET_TABLE, table_.name.c_str());
    nftnl_set_set_str(handle.get(), NFTNL_SET_NAME, set.c_str());
    nftnl_set_nlmsg_build_payload(message, handle.get());  // no element named: all of them
    finish(message);
}

void Batch::change_elements(std::uint16_t type, const std::string& set, std::span<const Element> elements) {
    for (; !elements.empty(); elements = elements.subspan(std::min(elements.size(), elements_per_message)))
        put_elements(type, set, elements.first(std::min(elements.size(), elements_per_message)));
}

void Batch::put_elements(std::uint16_t type, const std::string& set, std::span<const Element> elements) {
    nlmsghdr* message = start(type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, "an element of set " + set);
    const SetHandle handle = new_set();
    nftnl_set_set_str(handle.get(), NFTNL_SET_TABLE, table_.name.c_str());
    nftnl_set_set_str(handle.get(), NFTNL_SET_NAME, set.c_str());
    for (const Element& element : elements) {
        nftnl_set_elem* e = allocated(nftnl_set_elem_alloc());
        nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, element.key.data(), static_cast<std::uint32_t>(element.key.size()));
        if (element.remaining && type == NFT_MSG_NEWSETELEM)
            nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_TIMEOUT, static_cast<std::uint64_t>(element.remaining->count()));
        if (element.is_ours && type == NFT_MSG_NEWSETELEM) set_comment(e);
        nftnl_set_elem_add(handle.get(), e);
    }
    nftnl_set_elems_nlmsg_build_payload(message, handle.get());
    finish(message);
}

Batch::Sealed Batch::seal(std::uint32_t first_number) {
    if (buffer_.size() - used_ < room) buffer_.resize(used_ + room);
    std::uint32_t number = first_number;
    nlmsghdr* last = nullptr;
    for (std::size_t at = 0; at < used_;) {
        last = reinterpret_cast<nlmsghdr*>(buffer_.data() + at);
        last->nlmsg_seq = number++;
        at += MNL_ALIGN(last->nlmsg_len);
    }
    // The kernel answers what it refuses in any case; asking for the last change's answer is enough to know the end.
    last->nlmsg_flags |= NLM_F_ACK;
    finish(nftnl_batch_end(buffer_.data() + used_, number));
    return {{reinterpret_cast<const std::uint8_t*>(buffer_.data()), used_}, first_number, number - 1};
}

}  // namespace oneknock::nft

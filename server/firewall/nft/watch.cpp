#include <array>
#include <cerrno>
#include <cstddef>
#include <string_view>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "server/firewall/nft/handles.hpp"
#include "server/firewall/nft/watch.hpp"

namespace oneknock {
namespace {

// Room for a burst of news; a flush of large sets overflows any buffer, which counts as a change.
constexpr int receive_buffer = 256 * 1024;
constexpr std::size_t largest_datagram_of_news = 64 * 1024;
constexpr int most_datagrams = 1000;  // at a time; the descriptor stays readable

// Drops datagrams whose first message bears this port id. All messages of a datagram stem from one batch.
bool ignore_sender(int fd, std::uint32_t port_id) {
    std::array<sock_filter, 4> code{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)),  // read as big-endian
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port_id), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    }};
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

bool is_about_sets(std::uint16_t type) {
    return type == NFT_MSG_DELTABLE || type == NFT_MSG_NEWSET || type == NFT_MSG_DELSET || type == NFT_MSG_NEWSETELEM ||
           type == NFT_MSG_DELSETELEM;
}

// The name of the table that a message is about: attribute 1 of all of them.
static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
              NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1 && NFTA_FLOWTABLE_TABLE == 1);
int keep_table_name(const nlattr* attribute, void* to) {
    if (mnl_attr_get_type(attribute) != NFTA_TABLE_NAME || mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) != 0)
        return MNL_CB_OK;
    *static_cast<std::string_view*>(to) = mnl_attr_get_str(attribute);
    return MNL_CB_STOP;
}

bool names_table(const nlmsghdr* message, std::string_view name) {
    std::string_view found;
    (void)mnl_attr_parse(message, sizeof(nfgenmsg), keep_table_name, &found);
    return found == name;
}

}  // namespace

tl::expected<NftWatch, int> NftWatch::open(TableName table, Scope scope, std::uint32_t own_port_id) {
    Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    if (!fd || !ignore_sender(fd.get(), own_port_id)) return tl::unexpected(errno);
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    const int group = NFNLGRP_NFTABLES;
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
        return tl::unexpected(errno);
    NftWatch watch(std::move(fd), std::move(table), scope);
    watch.buffer_.resize(largest_datagram_of_news);
    return watch;
}

bool NftWatch::drain() {
    bool changed = false;
    for (int i = 0; i < most_datagrams; ++i) {
        const auto got = recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == ENOBUFS) changed = true;
        else if (got < 0) return changed;
        else if (concerns_us(static_cast<std::size_t>(got))) changed = true;
    }
    return changed;
}

bool NftWatch::concerns_us(std::size_t length) const {
    if (length > buffer_.size()) return true;  // cut short
    int left = static_cast<int>(length);
    for (const auto* m = reinterpret_cast<const nlmsghdr*>(buffer_.data()); nft::is_whole(m, left);
         m = mnl_nlmsg_next(m, &left)) {
        if (m->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || mnl_nlmsg_get_payload_len(m) < sizeof(nfgenmsg)) continue;
        const std::uint16_t type = m->nlmsg_type & 0xff;
        if (type == NFT_MSG_NEWGEN) continue;  // ends every batch of anybody's; names no table
        if (static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(m))->nfgen_family != table_.family) continue;
        if ((scope_ == Scope::whole_table || is_about_sets(type)) && names_table(m, table_.name)) return true;
    }
    return false;
}

}  // namespace oneknock

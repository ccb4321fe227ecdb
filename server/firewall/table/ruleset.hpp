// What our table looks like, as values: nothing here speaks to the kernel. A rule is a list of the kernel's own
// expressions together with the line that `nft list table` prints for it.
//
// Guard mode, in words: packets for a configured service, addressed to this host and not from itself, pass when their
// source is trusted or granted, or when they belong to a session; the rest is closed. Every match is positive: where
// an expression cannot be evaluated (a later fragment has no ports) its rule does not match, and a packet that never
// matched "is for a configured service" leaves the table untouched (guard_rules.hpp). A first fragment that hides which
// port it is for is the exception.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/bytes.hpp"
#include "common/protocol/address.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

using ByteString = std::vector<std::uint8_t>;

inline constexpr std::array families{Family::ipv4, Family::ipv6};

// A table by nf_tables' number for its family (NFPROTO_*) and its name.
struct TableName {
    std::uint8_t family = 0;
    std::string name;

    [[nodiscard]] std::string text() const;  // "inet oneknock"
};

// Expressions, named after what they do to the registers (numbers as in enum nft_registers) or to the packet.
struct LoadMeta {
    std::uint32_t key = 0;  // enum nft_meta_keys
    std::uint32_t to = 0;
};
struct StoreMark {
    std::uint32_t from = 0;
};
struct LoadPayload {
    std::uint32_t base = 0;  // enum nft_payload_bases
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t to = 0;
};
struct LoadFibType {       // what kind of address it is to the routing tables
    std::uint32_t of = 0;  // NFTA_FIB_F_SADDR or NFTA_FIB_F_DADDR; with NFTA_FIB_F_IIF: at the interface of arrival
    std::uint32_t to = 0;
};
struct LoadHeader {           // some bytes of one of the further headers; a packet without it ends the rule
    std::uint32_t where = 0;  // enum nft_exthdr_op: an extension header of IPv6, or an option of TCP
    std::uint8_t type = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t to = 0;
};
struct LoadRoute {
    std::uint32_t key = 0;  // enum nft_rt_keys
    std::uint32_t to = 0;
};
struct LoadConstant {
    std::uint32_t to = 0;
    ByteString data;
};
struct Mask {  // in place
    std::uint32_t in = 0;
    ByteString mask;
};
struct Compare {
    bool equal = true;
    std::uint32_t from = 0;
    ByteString data;
};
struct Hash {  // offset + (a hash of these registers, below modulus), in the host's byte order
    std::uint32_t from = 0;
    std::uint32_t length = 0;
    std::uint32_t to = 0;
    std::uint32_t modulus = 0;
    std::uint32_t seed = 0;
    std::uint32_t offset = 0;
};
struct ToNetworkOrder {  // 4 bytes, in place
    std::uint32_t in = 0;
};
struct StoreNetworkHeader {  // the checksum is not mended
    std::uint32_t from = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
};
struct LookUp {
    std::string set;
    std::uint32_t from = 0;
    bool inverted = false;
};
struct Verdict {
    std::int32_t code = 0;  // NF_ACCEPT, NF_DROP, NFT_JUMP, NFT_GOTO
    std::string chain;      // for NFT_JUMP and NFT_GOTO
};
struct Reject {
    std::uint32_t type = 0;  // enum nft_reject_types
    std::uint8_t code = 0;
};
struct OverLimit {  // goes on where more than `burst` have come here, and more than so many a minute since
    std::uint32_t a_minute = 0;
    std::uint32_t burst = 0;
};
struct Update {  // adds an element that is not there, and in any case gives it this timeout; a full set ends the rule
    std::string set;
    std::uint32_t from = 0;
    Seconds timeout{};
    std::optional<OverLimit> limit;  // of each element
};
using Expression =
    std::variant<LoadMeta, StoreMark, LoadPayload, LoadFibType, LoadHeader, LoadRoute, LoadConstant, Mask, Compare,
                 Hash, ToNetworkOrder, StoreNetworkHeader, LookUp, Update, Verdict, Reject>;

struct Rule {
    std::string chain;
    std::string text;
    std::vector<Expression> expressions;
};

struct Hook {                  // of a base chain: type filter, policy accept
    std::uint32_t number = 0;  // enum nf_inet_hooks
    std::int32_t priority = 0;
};

// Its name is none of nft's keywords, or nft cannot load again what it lists.
struct Chain {
    std::string name;
    std::optional<Hook> hook;
};

struct Set {
    std::string name;
    std::uint32_t key_type = 0;  // nft's number, for readable listings
    std::uint32_t key_length = 0;
    std::uint32_t size = 0;            // 0: as many as `elements`
    bool timed = false;                // else constant
    bool dynamic = false;              // rules add to it
    std::vector<ByteString> elements;  // of a constant set, ascending
};

struct Ruleset {
    TableName table;
    std::vector<Set> sets;
    std::vector<Chain> chains;
    std::vector<Rule> rules;
};

// The table of guard or mark mode. Set mode has none. `label_seed` is that of the IPv6 flow labels of resets.
[[nodiscard]] Ruleset describe_table(const FirewallConfig& config, const std::vector<Service>& services,
                                     std::uint32_t label_seed);

// The timed set that holds the grants of one address family.
[[nodiscard]] Set grant_set(Family family, const std::string& name);

// How nft writes such a set's type, and the command that adds one.
[[nodiscard]] std::string grant_set_command(Family family, const TableName& table, const std::string& name);

// Where grants live: our own table's sets, or the administrator's (set mode; an empty name: not that family).
struct GrantSets {
    TableName table;
    std::string ipv4;
    std::string ipv6;

    [[nodiscard]] const std::string& of(Family family) const { return family == Family::ipv4 ? ipv4 : ipv6; }
};
[[nodiscard]] GrantSets grant_sets(const FirewallConfig& config);

}  // namespace oneknock

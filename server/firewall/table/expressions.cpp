#include "server/firewall/table/expressions.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

namespace oneknock {
namespace {

constexpr std::uint32_t reg1 = NFT_REG_1;

// The register at a byte offset, by the number the kernel gives back: the 16-byte registers keep their old numbers.
constexpr std::uint32_t register_at(std::uint32_t offset) {
    return offset % NFT_REG_SIZE == 0 ? NFT_REG_1 + offset / NFT_REG_SIZE : NFT_REG32_00 + offset / NFT_REG32_SIZE;
}

// "meta l4proto . th dport" into the registers from this offset on. Later fragments have no ports and do not match.
Expressions load_service(std::uint32_t offset) {
    return {LoadMeta{NFT_META_L4PROTO, register_at(offset)},
            LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register_at(offset + 4)}};
}

Expressions family_is(Family family) {
    const std::uint8_t number = family == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
    return {LoadMeta{NFT_META_NFPROTO, reg1}, Compare{true, reg1, {number}}};
}

LoadPayload load_source(Family family) {
    if (family == Family::ipv4) return {NFT_PAYLOAD_NETWORK_HEADER, 12, 4, reg1};
    return {NFT_PAYLOAD_NETWORK_HEADER, 8, 16, reg1};
}

LoadPayload load_destination(Family family) {
    if (family == Family::ipv4) return {NFT_PAYLOAD_NETWORK_HEADER, 16, 4, reg1};
    return {NFT_PAYLOAD_NETWORK_HEADER, 24, 16, reg1};
}

// Offsets in the transport header.
constexpr std::uint32_t source_port = 0, destination_port = 2;

// "udp", then the address, the port at its side, and the other one.
Expressions load_flow(Family family, const LoadPayload& address, std::uint32_t its_port, std::uint32_t our_port) {
    Expressions all = family_is(family);
    const Expressions udp = protocol_is(protocol_udp);
    all.insert(all.end(), udp.begin(), udp.end());
    all.emplace_back(address);
    all.emplace_back(LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, its_port, 2, register_at(address.length)});
    all.emplace_back(LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, our_port, 2, register_at(address.length + 4)});
    return all;
}

// Whether the offset of a fragment is 0: the lower 13 bits of two bytes in IPv4 (RFC 791, 3.1), the upper 13 in IPv6
// (RFC 8200, 4.5), where a packet without such a header ends the rule.
Expressions fragment_at_start(Family family, bool is_first) {
    constexpr std::uint8_t fragment = 44;  // IPPROTO_FRAGMENT
    const bool ipv4 = family == Family::ipv4;
    Expressions all = family_is(family);
    if (ipv4) all.emplace_back(LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, 6, 2, reg1});
    else all.emplace_back(LoadHeader{NFT_EXTHDR_OP_IPV6, fragment, 2, 2, reg1});
    all.emplace_back(Mask{reg1, ipv4 ? ByteString{0x1f, 0xff} : ByteString{0xff, 0xf8}});
    all.emplace_back(Compare{is_first, reg1, {0, 0}});
    return all;
}

Expressions with(Expressions all, Expression last) {
    all.push_back(std::move(last));
    return all;
}

ByteString prefix_mask(const Network& network) {
    ByteString mask(network.base.length());
    for (std::size_t bit = 0; bit < network.prefix_length; ++bit)
        mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80 >> bit % 8);
    return mask;
}

Expressions address_in(const Network& network, const LoadPayload& address) {
    Expressions all = family_is(network.base.family);
    if (network.prefix_length == 0) return all;  // everyone of that family
    all.emplace_back(address);
    if (network.prefix_length < network.base.length() * 8) all.emplace_back(Mask{reg1, prefix_mask(network)});
    all.emplace_back(Compare{true, reg1, ByteString(network.base.span().begin(), network.base.span().end())});
    return all;
}

std::string address_text(const Network& network, const char* side) {
    const bool ipv4 = network.base.family == Family::ipv4;
    if (network.prefix_length == 0) return ipv4 ? "meta nfproto ipv4" : "meta nfproto ipv6";
    const bool whole = network.prefix_length == network.base.length() * 8;
    return (ipv4 ? "ip " : "ip6 ") + (side + (" " + (whole ? network.base.text() : network.text())));
}

const char* name_of(Family family) { return family == Family::ipv4 ? "ip" : "ip6"; }

// As nft prints a time.
std::string time_text(Seconds time) {
    std::string text;
    auto left = time.count();
    for (const auto& [unit, length] : {std::pair{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}) {
        if (left >= length) text += std::to_string(left / length) + unit;
        left %= length;
    }
    return text;
}

}  // namespace

Rule rule(std::string chain, std::string text, const std::vector<Expressions>& parts) {
    Rule result{std::move(chain), std::move(text), {}};
    for (const Expressions& part : parts) result.expressions.insert(result.expressions.end(), part.begin(), part.end());
    return result;
}

Expressions interface_is(std::string_view name) {
    ByteString padded(16);  // IFNAMSIZ
    std::ranges::copy(name, padded.begin());
    return {LoadMeta{NFT_META_IIFNAME, reg1}, Compare{true, reg1, padded}};
}

Expressions leaves_by(std::string_view interface) {
    Expressions all = interface_is(interface);
    std::get<LoadMeta>(all.front()).key = NFT_META_OIFNAME;
    return all;
}

// What this host sends itself has no interface of arrival; at postrouting a tunnel's own device may stand there.
Expressions goes_through_this_host() { return {LoadMeta{NFT_META_IIF, reg1}, Compare{false, reg1, host_order(0)}}; }

Expressions protocol_is(std::uint8_t protocol) {
    return {LoadMeta{NFT_META_L4PROTO, reg1}, Compare{true, reg1, {protocol}}};
}

Expressions service_in(const std::string& set) {
    Expressions all = load_service(0);
    all.emplace_back(LookUp{set, reg1});
    return all;
}

Expressions for_other_than(const std::string& set) {
    Expressions all = load_service(0);
    all.emplace_back(LookUp{set, reg1, true});
    return all;
}

Expressions begins_fragments() { return fragment_at_start(Family::ipv6, true); }
Expressions continues_fragments(Family family) { return fragment_at_start(family, false); }

Expressions answer_of_service(const std::string& set) {
    return {LoadMeta{NFT_META_L4PROTO, reg1}, LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, register_at(4)},
            LookUp{set, reg1}};
}

// A packet without a route ends the rule, and a route's next hop is never the unspecified address.
Expressions has_route(Family family) {
    const bool ipv4 = family == Family::ipv4;
    return {LoadRoute{static_cast<std::uint32_t>(ipv4 ? NFT_RT_NEXTHOP4 : NFT_RT_NEXTHOP6), reg1},
            Compare{false, reg1, ByteString(ipv4 ? 4 : 16)}};
}

Expressions source_is_local() {
    constexpr std::uint32_t local = 2;  // RTN_LOCAL
    return {LoadFibType{NFTA_FIB_F_SADDR, reg1}, Compare{true, reg1, host_order(local)}};
}

Expressions destination_type_in(const std::string& set) {
    return {LoadFibType{NFTA_FIB_F_DADDR, reg1}, LookUp{set, reg1}};
}

Expressions destination_type_here_in(const std::string& set) {
    return {LoadFibType{NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF, reg1}, LookUp{set, reg1}};
}

Expressions to_others_at_link() {
    constexpr std::uint8_t host = 0;  // PACKET_HOST
    return {LoadMeta{NFT_META_PKTTYPE, reg1}, Compare{false, reg1, {host}}};
}

Expressions source_in(const Network& network) { return address_in(network, load_source(network.base.family)); }
Expressions destination_in(const Network& network) {
    return address_in(network, load_destination(network.base.family));
}

Expressions granted(Family family, const std::string& set) {
    Expressions all = family_is(family);
    all.emplace_back(load_source(family));
    const Expressions service = load_service(load_source(family).length);
    all.insert(all.end(), service.begin(), service.end());
    all.emplace_back(LookUp{set, reg1});
    return all;
}

Expressions answers_granted(Family family, const std::string& set) {
    Expressions all = family_is(family);
    const LoadPayload address = load_destination(family);
    all.emplace_back(address);
    all.emplace_back(LoadMeta{NFT_META_L4PROTO, register_at(address.length)});
    all.emplace_back(LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, source_port, 2, register_at(address.length + 4)});
    all.emplace_back(LookUp{set, reg1});
    return all;
}

Expressions of_flow(Family family, const std::string& set) {
    return with(load_flow(family, load_source(family), source_port, destination_port), LookUp{set, reg1});
}

Expressions answers_flow(Family family, const std::string& set) {
    return with(load_flow(family, load_destination(family), destination_port, source_port), LookUp{set, reg1});
}

Expressions remember_flow(Family family, const std::string& set, Seconds timeout) {
    return with(load_flow(family, load_destination(family), destination_port, source_port),
                Update{set, reg1, timeout, {}});
}

Expressions too_many_answers(Family family, const std::string& set, Seconds timeout, OverLimit limit) {
    Expressions all = load_flow(family, load_destination(family), source_port, destination_port);
    all.back() = Update{set, reg1, timeout, limit};  // without the port at the other side
    return all;
}

Expressions tcp_flags_any(std::uint8_t flags) {
    Expressions all = protocol_is(protocol_tcp);
    all.emplace_back(LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, reg1});
    all.emplace_back(Mask{reg1, {flags}});
    all.emplace_back(Compare{false, reg1, {0}});
    return all;
}

Expressions tcp_flags_are(std::uint8_t flags) {
    Expressions all = protocol_is(protocol_tcp);
    all.emplace_back(LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, reg1});
    all.emplace_back(Compare{true, reg1, {flags}});
    return all;
}

Expressions ipv6_reset() {
    Expressions all = family_is(Family::ipv6);
    const Expressions tcp = protocol_is(protocol_tcp);
    all.insert(all.end(), tcp.begin(), tcp.end());
    all.emplace_back(LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, reg1});
    all.emplace_back(Mask{reg1, {static_cast<std::uint8_t>(~tcp_ack)}});
    all.emplace_back(Compare{true, reg1, {tcp_rst}});
    all.emplace_back(LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, 0, 2, reg1});  // version, traffic class, label
    all.emplace_back(Mask{reg1, {0x0f, 0xf0}});
    all.emplace_back(Compare{true, reg1, {0, 0}});
    return all;
}

// RFC 2385: an option of 18 bytes. One of another length is none to the kernel, or a fault in the options.
Expressions is_signed() {
    constexpr std::uint8_t md5_signature = 19, length = 18;
    constexpr std::uint32_t length_at = 1;
    Expressions all = protocol_is(protocol_tcp);
    all.emplace_back(LoadHeader{NFT_EXTHDR_OP_TCPOPT, md5_signature, length_at, 1, reg1});
    all.emplace_back(Compare{true, reg1, {length}});
    return all;
}

Expressions verdict(std::int32_t code, std::string chain) { return {Verdict{code, std::move(chain)}}; }
Expressions accept() { return verdict(NF_ACCEPT); }
Expressions set_mark(std::uint32_t mark) { return {LoadConstant{reg1, host_order(mark)}, StoreMark{reg1}}; }

// The first four bytes of an IPv6 header are version, traffic class and the label's 20 bits (RFC 8200, 3).
Expressions set_flow_label(std::uint32_t seed) {
    constexpr std::uint32_t addresses = 32, ports = 8, labels = 1U << 20, version6 = 6U << 28;
    constexpr std::uint32_t at = NFT_REG_SIZE;  // behind the register of the result
    return {LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, 8, 16, register_at(at)},
            LoadPayload{NFT_PAYLOAD_NETWORK_HEADER, 24, 16, register_at(at + 16)},
            LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, register_at(at + addresses)},
            LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register_at(at + addresses + 4)},
            Hash{register_at(at), addresses + ports, reg1, labels, seed, version6},
            ToNetworkOrder{reg1},
            StoreNetworkHeader{reg1, 0, 4}};
}

Expressions reject_tcp() { return {Reject{NFT_REJECT_TCP_RST, 0}}; }
Expressions reject_udp() { return {Reject{NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH}}; }

std::string source_text(const Network& network) { return address_text(network, "saddr"); }
std::string destination_text(const Network& network) { return address_text(network, "daddr"); }

std::string granted_text(Family family, const std::string& set) {
    return name_of(family) + (" saddr . meta l4proto . th dport @" + set);
}

std::string answers_granted_text(Family family, const std::string& set) {
    return name_of(family) + (" daddr . meta l4proto . th sport @" + set);
}

std::string of_flow_text(Family family, const std::string& set) {
    return name_of(family) + (" saddr . udp sport . udp dport @" + set);
}

std::string answers_flow_text(Family family, const std::string& set) {
    return name_of(family) + (" daddr . udp dport . udp sport @" + set);
}

std::string remember_flow_text(Family family, const std::string& set, Seconds timeout) {
    return "update @" + set + " { " + name_of(family) + " daddr . udp dport . udp sport timeout " + time_text(timeout) +
           " }";
}

std::string too_many_answers_text(Family family, const std::string& set, Seconds timeout, OverLimit limit) {
    return "update @" + set + " { " + name_of(family) + " daddr . udp sport timeout " + time_text(timeout) +
           " limit rate over " + std::to_string(limit.a_minute) + "/minute burst " + std::to_string(limit.burst) +
           " packets }";
}

std::string mark_text(std::uint32_t mark) {
    char text[40];
    std::snprintf(text, sizeof text, " meta mark set 0x%08x", mark);
    return text;
}

ByteString host_order(std::uint32_t value) {
    ByteString bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

}  // namespace oneknock

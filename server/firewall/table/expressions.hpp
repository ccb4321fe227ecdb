// The vocabulary of our rules: each function gives the expressions of one match or statement of nft's language, laid
// out in the registers exactly as nft itself does it, so that `nft list` can read them back. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/protocol/address.hpp"
#include "server/firewall/table/ruleset.hpp"

namespace oneknock {

using Expressions = std::vector<Expression>;

inline constexpr std::uint8_t tcp_rst = 0x04, tcp_ack = 0x10;  // RFC 9293, 3.1

[[nodiscard]] Rule rule(std::string chain, std::string text, const std::vector<Expressions>& parts);

// Matches.
[[nodiscard]] Expressions interface_is(std::string_view name);
[[nodiscard]] Expressions leaves_by(std::string_view interface);
[[nodiscard]] Expressions goes_through_this_host();  // on the ways out
[[nodiscard]] Expressions protocol_is(std::uint8_t protocol);
[[nodiscard]] Expressions service_in(const std::string& set);         // meta l4proto . th dport
[[nodiscard]] Expressions for_other_than(const std::string& set);     // with a port that can be read
[[nodiscard]] Expressions begins_fragments();                         // of IPv6
[[nodiscard]] Expressions continues_fragments(Family family);         // a later one
[[nodiscard]] Expressions answer_of_service(const std::string& set);  // meta l4proto . th sport
[[nodiscard]] Expressions has_route(Family family);  // before routing: only what this host's own stack has sent has one
[[nodiscard]] Expressions source_is_local();
[[nodiscard]] Expressions destination_type_in(const std::string& set);
[[nodiscard]] Expressions destination_type_here_in(const std::string& set);  // at the interface of arrival, in its VRF
[[nodiscard]] Expressions to_others_at_link();  // the frame was not addressed to this host alone
[[nodiscard]] Expressions source_in(const Network& network);
[[nodiscard]] Expressions destination_in(const Network& network);
[[nodiscard]] Expressions granted(Family family, const std::string& set);
[[nodiscard]] Expressions answers_granted(Family family, const std::string& set);  // to an address that is in the set
[[nodiscard]] Expressions of_flow(Family family, const std::string& set);          // source . its port . our port
[[nodiscard]] Expressions answers_flow(Family family, const std::string& set);     // a packet the other way
[[nodiscard]] Expressions tcp_flags_any(std::uint8_t flags);
[[nodiscard]] Expressions tcp_flags_are(std::uint8_t flags);
[[nodiscard]] Expressions ipv6_reset();  // with or without ACK, without a traffic class
[[nodiscard]] Expressions is_signed();   // a TCP segment with an MD5 signature

// Statements.
[[nodiscard]] Expressions verdict(std::int32_t code, std::string chain = {});
[[nodiscard]] Expressions accept();
// From addresses and ports; of an IPv6 packet without a traffic class.
[[nodiscard]] Expressions set_flow_label(std::uint32_t seed);
[[nodiscard]] Expressions set_mark(std::uint32_t mark);
[[nodiscard]] Expressions reject_tcp();  // with a reset
[[nodiscard]] Expressions reject_udp();  // with "port unreachable"
[[nodiscard]] Expressions remember_flow(Family family, const std::string& set, Seconds timeout);  // of an answer
// Goes on where more answers than that have gone from one of our ports to one address.
[[nodiscard]] Expressions too_many_answers(Family family, const std::string& set, Seconds timeout, OverLimit limit);

// As nft prints them.
[[nodiscard]] std::string source_text(const Network& network);
[[nodiscard]] std::string destination_text(const Network& network);
[[nodiscard]] std::string granted_text(Family family, const std::string& set);
[[nodiscard]] std::string answers_granted_text(Family family, const std::string& set);
[[nodiscard]] std::string of_flow_text(Family family, const std::string& set);
[[nodiscard]] std::string answers_flow_text(Family family, const std::string& set);
[[nodiscard]] std::string remember_flow_text(Family family, const std::string& set, Seconds timeout);
[[nodiscard]] std::string too_many_answers_text(Family family, const std::string& set, Seconds timeout,
                                                OverLimit limit);
[[nodiscard]] std::string mark_text(std::uint32_t mark);

[[nodiscard]] ByteString host_order(std::uint32_t value);

}  // namespace oneknock

// IPv4 servers as an IPv6-only network sees them: addresses that a NAT64 translates (RFC 6052), and how the prefix is
// found (RFC 7050). Pure.
#pragma once

#include <optional>

#include "common/protocol/address.hpp"

namespace oneknock {

// The IPv4 address inside an IPv6 one, if that lies in this prefix of 32, 40, 48, 56, 64 or 96 bits.
[[nodiscard]] std::optional<Address> embedded_ipv4(const Network& prefix, const Address& address);

// The same for the prefix that every NAT64 may use, 64:ff9b::/96.
[[nodiscard]] std::optional<Address> well_known_nat64(const Address& address);

// The prefix of this network's NAT64, from an AAAA answer for ipv4only.arpa, which has no true one.
[[nodiscard]] std::optional<Network> nat64_prefix(const Address& answer);
inline constexpr const char* nat64_question = "ipv4only.arpa";

}  // namespace oneknock

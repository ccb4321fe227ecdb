// Which addresses the Internet at large can tell apart: the special-purpose registries of IANA (RFC 6890). Pure.
#pragma once

#include "common/protocol/address.hpp"

namespace oneknock {

// Whether packets from and to this address may cross the Internet without a translator: not if a registry says that it
// is not globally reachable (private, carrier NAT, link-local, documentation, benchmarks, ...), or says neither (6to4,
// Teredo). Multicast addresses are not.
[[nodiscard]] bool is_globally_reachable(const Address& address);

}  // namespace oneknock

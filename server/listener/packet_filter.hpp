// The part of docs/protocol.md, "Receiving", step 1 that the kernel does, as a pcap filter expression.
#pragma once

#include <string>

namespace oneknock {

// Plain SYNs and short UDP datagrams over IPv4 and IPv6. `with_vlan`: also behind up to two VLAN tags (the link type
// must know them).
[[nodiscard]] std::string packet_filter(bool with_vlan);

}  // namespace oneknock

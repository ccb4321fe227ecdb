// The part of docs/protocol.md, "Receiving", step 1 that the kernel does, so that it wakes nobody for other packets:
// plain SYNs and short UDP datagrams over IPv4 and IPv6, on Ethernet also behind up to two VLAN tags.
#pragma once

#include <vector>

#include <linux/filter.h>

#include "common/result.hpp"
#include "server/listener/packet.hpp"

struct pcap;

namespace oneknock {

[[nodiscard]] Result<void> set_packet_filter(pcap* capture, LinkLayer link);

// The same for the socket of a cooked capture over all interfaces, without the packets of these interfaces. Needs no
// privilege.
[[nodiscard]] Result<void> set_packet_filter(int socket, const std::vector<unsigned>& without);

// What stands before the latter: goes on behind its end with a packet of any interface but these, which it refuses.
[[nodiscard]] std::vector<sock_filter> refuse_interfaces(const std::vector<unsigned>& interfaces);

// From here on the socket's filter can be neither changed nor taken away, by whomever (SO_LOCK_FILTER).
[[nodiscard]] Result<void> lock_packet_filter(int socket);

}  // namespace oneknock

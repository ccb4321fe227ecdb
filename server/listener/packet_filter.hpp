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

// The same for the socket of a cooked capture over all interfaces, for packets of these interfaces alone; with none,
// for no packet at all. A later call replaces it. Needs no privilege.
[[nodiscard]] Result<void> set_packet_filter(int socket, const std::vector<unsigned>& interfaces);

// What stands before the latter: goes on behind its end with a packet of these interfaces, refuses any other.
[[nodiscard]] std::vector<sock_filter> interface_test(const std::vector<unsigned>& interfaces);

}  // namespace oneknock

#include "server/listener/packet_filter.hpp"

namespace oneknock {
namespace {

// pcap knows tcp[...] for IPv4 only, where it also refuses later fragments. For IPv6: next header at 6, the transport
// header at 40, or at 48 behind an atomic fragment header (offset and more-flag zero).
constexpr const char* plain =
    "(ip and tcp and tcp[13] & 0x17 = 0x02)"
    " or (ip and udp and udp[4:2] >= 8 and udp[4:2] <= 16)"
    " or (ip6 and ip6[6] = 6 and ip6[53] & 0x17 = 0x02)"
    " or (ip6 and ip6[6] = 17 and ip6[44:2] >= 8 and ip6[44:2] <= 16)"
    " or (ip6 and ip6[6] = 44 and ip6[42:2] & 0xfff9 = 0 and"
    " ((ip6[40] = 6 and ip6[61] & 0x17 = 0x02) or (ip6[40] = 17 and ip6[52:2] >= 8 and ip6[52:2] <= 16)))";

}  // namespace

std::string packet_filter(bool with_vlan) {
    const std::string once(plain);
    if (!with_vlan) return once;
    // "vlan" moves the offsets of all that follows it, so the deeper cases come last.
    return "(" + once + ") or (vlan and (" + once + ")) or (vlan and (" + once + "))";
}

}  // namespace oneknock

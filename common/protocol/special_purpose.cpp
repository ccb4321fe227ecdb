#include "common/protocol/special_purpose.hpp"

namespace oneknock {
namespace {

struct Entry {
    const char* network;
    bool globally_reachable = false;  // the registries' column of that name; what is deprecated or "N/A" there is not
};

// https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, as of October 2025. The
// longest prefix counts.
constexpr Entry registry[] = {
    {"0.0.0.0/8"},              // this network
    {"10.0.0.0/8"},             // private use, RFC 1918
    {"100.64.0.0/10"},          // shared address space of carriers' NATs, RFC 6598
    {"127.0.0.0/8"},            // loopback
    {"169.254.0.0/16"},         // link-local, RFC 3927
    {"172.16.0.0/12"},          // private use
    {"192.0.0.0/24"},           // IETF protocol assignments, with DS-Lite and 464XLAT (192.0.0.0/29), RFC 6890
    {"192.0.0.9/32", true},     // PCP anycast, RFC 7723
    {"192.0.0.10/32", true},    // TURN anycast, RFC 8155
    {"192.0.2.0/24"},           // documentation, RFC 5737
    {"192.31.196.0/24", true},  // AS112, RFC 7535
    {"192.52.193.0/24", true},  // AMT, RFC 7450
    {"192.88.99.0/24"},         // 6to4 relays, deprecated, RFC 7526
    {"192.168.0.0/16"},         // private use
    {"192.175.48.0/24", true},  // AS112, RFC 7534
    {"198.18.0.0/15"},          // benchmarks, RFC 2544
    {"198.51.100.0/24"},        // documentation
    {"203.0.113.0/24"},         // documentation
    {"240.0.0.0/4"},            // reserved, with the limited broadcast
    {"::/128"},                 // unspecified
    {"::1/128"},                // loopback
    {"::ffff:0:0/96"},          // IPv4-mapped
    {"64:ff9b::/96", true},     // IPv4 behind NAT64, RFC 6052
    {"64:ff9b:1::/48"},         // the same within a network, RFC 8215
    {"100::/64"},               // discard only, RFC 6666
    {"100:0:0:1::/64"},         // dummy prefix, RFC 9780
    {"2001::/23"},            // IETF protocol assignments, with Teredo (2001::/32) and the former ORCHID (2001:10::/28)
    {"2001:1::1/128", true},  // PCP anycast
    {"2001:1::2/128", true},  // TURN anycast
    {"2001:1::3/128", true},  // DNS-SD SRP anycast, RFC 9665
    {"2001:2::/48"},          // benchmarks, RFC 5180
    {"2001:3::/32", true},    // AMT
    {"2001:4:112::/48", true},    // AS112
    {"2001:20::/28", true},       // ORCHIDv2, RFC 7343
    {"2001:30::/28", true},       // DRIP, RFC 9374
    {"2001:db8::/32"},            // documentation, RFC 3849
    {"2002::/16"},                // 6to4, RFC 3056
    {"2620:4f:8000::/48", true},  // AS112
    {"3fff::/20"},                // documentation, RFC 9637
    {"5f00::/16"},                // segment routing identifiers, RFC 9602
    {"fc00::/7"},                 // unique local, RFC 4193
    {"fe80::/10"},                // link-local, RFC 4291
    {"fec0::/10"},                // not in the registry: site-local, deprecated by RFC 3879
};

}  // namespace

bool is_globally_reachable(const Address& address) {
    if (address.is_multicast()) return false;
    bool reachable = true;
    int longest = -1;
    for (const Entry& entry : registry) {
        const auto network = Network::parse(entry.network);
        if (!network || network->prefix_length <= longest || !network->contains(address)) continue;
        longest = network->prefix_length;
        reachable = entry.globally_reachable;
    }
    return reachable;
}

}  // namespace oneknock

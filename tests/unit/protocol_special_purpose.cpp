#include "common/protocol/special_purpose.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

bool reachable(const char* text) { return is_globally_reachable(*Address::parse(text)); }

}  // namespace

TEST_CASE("addresses of the registries of special purposes are not global, up to their edges") {
    for (const char* inside : {"0.1.2.3",
                               "10.0.0.0",
                               "10.255.255.255",
                               "100.64.0.0",
                               "100.127.255.255",
                               "127.0.0.1",
                               "169.254.7.7",
                               "172.16.0.1",
                               "172.31.255.255",
                               "192.0.0.1",
                               "192.0.0.170",
                               "192.0.2.7",
                               "192.88.99.2",
                               "192.168.1.5",
                               "198.18.0.1",
                               "198.19.255.255",
                               "198.51.100.1",
                               "203.0.113.5",
                               "240.0.0.1",
                               "255.255.255.255",
                               "224.0.0.1",
                               "::",
                               "::1",
                               "::ffff:8.8.8.8",
                               "64:ff9b:1::1",
                               "100::1",
                               "100:0:0:1::1",
                               "2001::1",
                               "2001:10::1",
                               "2001:2::1",
                               "2001:1ff:ffff::1",
                               "2001:db8::1",
                               "2002:808:808::1",
                               "3fff::1",
                               "3fff:fff:ffff::1",
                               "5f00::1",
                               "fc00::1",
                               "fdff::1",
                               "fe80::1",
                               "febf::1",
                               "fec0::1",
                               "ff02::1"}) {
        CAPTURE(inside);
        CHECK_FALSE(reachable(inside));
    }
    for (const char* outside :
         {"1.0.0.1",    "9.255.255.255",   "11.0.0.0",        "100.63.255.255", "100.128.0.0", "172.15.255.255",
          "172.32.0.0", "192.0.1.1",       "192.0.3.1",       "192.88.98.1",    "192.169.0.1", "198.17.255.255",
          "198.20.0.0", "223.255.255.255", "2001:200::1",     "2001:db7::1",    "2001:db9::1", "2003::1",
          "2600::1",    "3fff:1000::1",    "64:ff9b::8.8.8.8"}) {
        CAPTURE(outside);
        CHECK(reachable(outside));
    }
}

TEST_CASE("what is global inside of a special network is so") {
    for (const char* text : {"192.0.0.9", "192.0.0.10", "192.31.196.1", "192.52.193.1", "192.175.48.1", "2001:1::1",
                             "2001:1::3", "2001:3::1", "2001:4:112::1", "2001:20::1", "2001:3f:ffff::1"}) {
        CAPTURE(text);
        CHECK(reachable(text));
    }
    for (const char* text : {"192.0.0.8", "192.0.0.11", "2001:1::4", "2001:4:113::1", "2001:40::1"}) {
        CAPTURE(text);
        CHECK_FALSE(reachable(text));
    }
}

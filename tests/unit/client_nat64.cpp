#include "client/message/nat64.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

Address address(const char* text) { return *Address::parse(text); }

}  // namespace

TEST_CASE("the IPv4 address is found at the place that each length of prefix gives it") {
    // RFC 6052 section 2.4.
    struct Case {
        const char* prefix;
        const char* whole;
    };
    const auto [prefix, whole] = GENERATE(
        Case{"2001:db8::/32", "2001:db8:c000:221::"}, Case{"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
        Case{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
        Case{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
        Case{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
        Case{"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"}, Case{"64:ff9b::/96", "64:ff9b::192.0.2.33"});
    CAPTURE(prefix);
    CHECK(embedded_ipv4(*Network::parse(prefix), address(whole)) == address("192.0.2.33"));
    CHECK_FALSE(embedded_ipv4(*Network::parse(prefix), address("2001:dead::1")));
}

TEST_CASE("the well-known prefix alone is known without asking") {
    CHECK(well_known_nat64(address("64:ff9b::a51:1")) == address("10.81.0.1"));
    CHECK_FALSE(well_known_nat64(address("64:ff9b:1::a51:1")));
    CHECK_FALSE(well_known_nat64(address("10.81.0.1")));
}

TEST_CASE("the answer for ipv4only.arpa tells the prefix, and another answer none") {
    CHECK(nat64_prefix(address("64:ff9b::192.0.0.170")) == Network::parse("64:ff9b::/96"));
    CHECK(nat64_prefix(address("2001:db8:64::192.0.0.171")) == Network::parse("2001:db8:64::/96"));
    CHECK(nat64_prefix(address("2001:db8:122:344:c0:0:aa00::")) == Network::parse("2001:db8:122:344::/64"));
    CHECK(nat64_prefix(address("2001:db8:c000:aa::")) == Network::parse("2001:db8::/32"));
    CHECK_FALSE(nat64_prefix(address("2001:db8::192.0.0.172")));
    CHECK_FALSE(nat64_prefix(address("192.0.0.170")));
}

#include "server/firewall/table/element_key.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const Service ssh{protocol_tcp, 22};

}  // namespace

TEST_CASE("element keys pad protocol and port to four bytes each") {
    const GrantKey ipv4{{protocol_tcp, 443}, *Address::parse("10.9.9.9")};
    CHECK(to_hex(element_key(ipv4)) == "0a0909090600000001bb0000");
    const GrantKey ipv6{{protocol_udp, 51820}, *Address::parse("2001:db8::7")};
    CHECK(to_hex(element_key(ipv6)) ==
          "20010db80000000000000000000000071100"
          "0000ca6c0000");
    CHECK(grant_of_key(Family::ipv4, element_key(ipv4)) == ipv4);
    CHECK(grant_of_key(Family::ipv6, element_key(ipv6)) == ipv6);
}

TEST_CASE("bytes that are no grant's key are not taken for one") {
    const ByteString key = element_key({ssh, *Address::parse("10.9.9.9")});
    CHECK_FALSE(grant_of_key(Family::ipv4, {}));  // a catch-all element
    CHECK_FALSE(grant_of_key(Family::ipv6, key));
    for (const std::size_t padding : {5U, 6U, 7U, 10U, 11U}) {
        ByteString odd = key;
        odd[padding] = 1;
        CHECK_FALSE(grant_of_key(Family::ipv4, odd));
    }
}

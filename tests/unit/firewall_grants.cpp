#include "server/firewall/table/grants.hpp"

#include "server/firewall/table/element_key.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const Service ssh{protocol_tcp, 22};
GrantKey grant(std::uint32_t address) { return {ssh, Address::ipv4(address)}; }

}  // namespace

TEST_CASE("a grant is live until its end, not at it") {
    GrantTable grants;
    REQUIRE(grants.put(grant(1), Seconds{10}, Seconds{0}));
    REQUIRE(grants.put(grant(2), Seconds{20}, Seconds{0}));
    struct Row {
        Seconds now;
        std::size_t live;
    };
    for (const auto& [now, live] : {Row{Seconds{9}, 2}, {Seconds{10}, 1}, {Seconds{19}, 1}, {Seconds{20}, 0}})
        CHECK(grants.live(now) == live);
    CHECK(grants.all().size() == 2);  // dropped lazily
    grants.drop_ended(Seconds{10});
    CHECK(grants.all().size() == 1);
    CHECK(grants.end_of(grant(2)) == Instant{Seconds{20}});
    CHECK_FALSE(grants.end_of(grant(1)));
}

TEST_CASE("putting a grant again replaces its end, later or earlier") {
    GrantTable grants;
    for (const Seconds end : {Seconds{10}, Seconds{20}, Seconds{5}}) {
        REQUIRE(grants.put(grant(1), end, Seconds{0}));
        CHECK(grants.end_of(grant(1)) == Instant{end});
        CHECK(grants.live(Seconds{0}) == 1);
        CHECK(grants.live(end) == 0);
    }
    grants.erase(grant(1));
    grants.erase(grant(1));
    CHECK(grants.live(Seconds{0}) == 0);
}

TEST_CASE("a full table takes no new grant until one ends, but renews those it has") {
    GrantTable grants;
    for (std::uint32_t i = 0; i < GrantTable::capacity; ++i)
        REQUIRE(grants.put(grant(i), Seconds{i == 0 ? 10 : 20}, Seconds{0}));
    CHECK_FALSE(grants.put(grant(0xffff0000), Seconds{20}, Seconds{9}));
    CHECK(grants.put(grant(7), Seconds{30}, Seconds{9}));
    CHECK(grants.live(Seconds{9}) == GrantTable::capacity);
    CHECK(grants.put(grant(0xffff0000), Seconds{20}, Seconds{10}));
}

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

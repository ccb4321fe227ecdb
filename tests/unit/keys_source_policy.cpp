#include "keys/source_policy.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

SourcePolicy policy(std::string_view text) {
    const auto parsed = SourcePolicy::parse(text);
    REQUIRE(parsed);
    return *parsed;
}

Address address(std::string_view text) {
    const auto parsed = Address::parse(text);
    REQUIRE(parsed);
    return *parsed;
}

// What to open for, as text; "-" for a refusal.
std::string resolved(std::string_view policy_text, std::string_view asked, std::string_view source) {
    const auto result = policy(policy_text).permitted_address(address(asked), address(source));
    return result ? result->text() : "-";
}

}  // namespace

TEST_CASE("a policy's text reads back as the same policy") {
    for (const std::string text :
         {"same", "observed", "any", "192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "192.0.2.1/32"})
        CHECK(policy(text).text() == text);
    CHECK(policy("192.0.2.1").text() == "192.0.2.1/32");
    CHECK(SourcePolicy().text() == "same");
}

TEST_CASE("a policy of other words or a crooked network is refused") {
    for (const char* text : {"", "Same", "same ", "all", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2",
                             "::/129", "2001:db8::1/64", "example.org"}) {
        CAPTURE(text);
        CHECK_FALSE(SourcePolicy::parse(text));
    }
}

TEST_CASE("the policy decides which address a knock may open") {
    struct Case {
        const char* asked;
        const char* source;
        const char* same;
        const char* observed;
        const char* any;
        const char* network;  // 192.0.2.0/24
    };
    const Case cases[] = {
        // its own address: always
        {"192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.7"},
        {"198.51.100.7", "198.51.100.7", "198.51.100.7", "198.51.100.7", "198.51.100.7", "198.51.100.7"},
        // "the source address you see"
        {"0.0.0.0", "192.0.2.7", "-", "192.0.2.7", "192.0.2.7", "192.0.2.7"},
        {"0.0.0.0", "198.51.100.7", "-", "198.51.100.7", "198.51.100.7", "-"},
        // another address, the network's first and last and those beside it
        {"192.0.2.0", "198.51.100.7", "-", "-", "192.0.2.0", "192.0.2.0"},
        {"192.0.2.255", "198.51.100.7", "-", "-", "192.0.2.255", "192.0.2.255"},
        {"192.0.1.255", "198.51.100.7", "-", "-", "192.0.1.255", "-"},
        {"192.0.3.0", "198.51.100.7", "-", "-", "192.0.3.0", "-"},
        {"198.51.100.8", "192.0.2.7", "-", "-", "198.51.100.8", "-"},
        // what the protocol forbids, whatever the policy and the source
        {"224.0.0.1", "192.0.2.7", "-", "-", "-", "-"},
        {"224.0.0.1", "224.0.0.1", "-", "-", "-", "-"},
        {"255.255.255.255", "192.0.2.7", "-", "-", "-", "-"},
        {"127.0.0.1", "127.0.0.1", "-", "-", "-", "-"},
        {"127.1.2.3", "192.0.2.7", "-", "-", "-", "-"},
        // nor as "the source address you see": whoever makes packets writes what they like there
        {"0.0.0.0", "224.0.0.1", "-", "-", "-", "-"},
        {"0.0.0.0", "255.255.255.255", "-", "-", "-", "-"},
        {"0.0.0.0", "127.0.0.1", "-", "-", "-", "-"},
        // another family
        {"2001:db8::7", "192.0.2.7", "-", "-", "-", "-"},
        {"192.0.2.7", "2001:db8::7", "-", "-", "-", "-"},
        {"0.0.0.0", "2001:db8::7", "-", "-", "-", "-"},
        {"::", "192.0.2.7", "-", "-", "-", "-"},
        // a source that is no address
        {"0.0.0.0", "0.0.0.0", "-", "-", "-", "-"},
        {"192.0.2.7", "0.0.0.0", "-", "-", "-", "-"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.asked, c.source);
        CHECK(resolved("same", c.asked, c.source) == c.same);
        CHECK(resolved("observed", c.asked, c.source) == c.observed);
        CHECK(resolved("any", c.asked, c.source) == c.any);
        CHECK(resolved("192.0.2.0/24", c.asked, c.source) == c.network);
    }
}

TEST_CASE("the policy decides alike with IPv6") {
    const std::string network = "2001:db8:1::/48", inside = "2001:db8:1:ffff::7", outside = "2001:db8:2::7";
    CHECK(resolved("same", inside, inside) == inside);
    CHECK(resolved("same", "::", inside) == "-");
    CHECK(resolved("observed", "::", inside) == inside);
    CHECK(resolved("observed", outside, inside) == "-");
    CHECK(resolved("any", outside, inside) == outside);
    CHECK(resolved(network, inside, outside) == inside);
    CHECK(resolved(network, "::", outside) == "-");
    CHECK(resolved(network, outside, inside) == "-");
    for (const char* forbidden : {"ff02::1", "::1", "::ffff:192.0.2.7"}) {
        CHECK(resolved("any", forbidden, inside) == "-");
        CHECK(resolved("same", forbidden, forbidden) == "-");
        CHECK(resolved("::/0", forbidden, inside) == "-");
        for (const char* policy : {"observed", "any", "::/0"}) CHECK(resolved(policy, "::", forbidden) == "-");
    }
}

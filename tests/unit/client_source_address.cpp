#include "client/message/source_address.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

Address address(const char* text) { return *Address::parse(text); }
SourcePolicy policy(const char* text) { return *SourcePolicy::parse(text); }
const SourceChoice automatic{};
const SourceChoice observed{.observed = true, .named = {}};

}  // namespace

TEST_CASE("--source observed needs a policy that allows it") {
    CHECK_FALSE(check_choice(observed, policy("same")));
    for (const char* text : {"observed", "any", "192.0.2.0/24"}) CHECK(check_choice(observed, policy(text)));
    CHECK(check_choice(automatic, policy("same")));
}

TEST_CASE("the message names the kernel's address, the given one, or none") {
    const Address local = address("192.0.2.7"), door = address("203.0.113.5");
    CHECK(*message_address(automatic, policy("same"), local, door) == local);
    CHECK(*message_address(observed, policy("any"), local, door) == Address::any(Family::ipv4));
    const SourceChoice named{.observed = false, .named = address("198.51.100.9")};
    CHECK(*message_address(named, policy("same"), local, door) == address("198.51.100.9"));
    CHECK(*message_address(observed, policy("any"), address("2001:db8::7"), address("2001:db8::5")) ==
          Address::any(Family::ipv6));
}

TEST_CASE("a private address is not asked for at a public door") {
    struct Case {
        const char* local;
        const char* door;
        bool accepted;
    };
    const auto [local, door, accepted] = GENERATE(
        Case{"192.168.1.5", "203.0.113.5", false}, Case{"100.64.0.5", "203.0.113.5", false},
        Case{"fd00::5", "2001:db8::5", false}, Case{"192.168.1.5", "10.0.0.1", true},
        Case{"192.0.2.7", "10.0.0.1", true}, Case{"fe80::5", "fe80::1", true}, Case{"127.0.0.1", "127.0.0.1", false});
    CAPTURE(local, door);
    const auto result = message_address(automatic, policy("same"), address(local), address(door));
    CHECK(result.has_value() == accepted);
    if (!result) CHECK(result.error().code == ExitCode::usage);
    CHECK(message_address(observed, policy("any"), address(local), address(door)));
}

TEST_CASE("the hint for NATs fits the client's policy") {
    const auto hint = [](const char* text) {
        return message_address(automatic, policy(text), address("10.0.0.5"), address("203.0.113.5")).error().message;
    };
    CHECK(hint("observed").find("Use --source observed") != std::string::npos);
    CHECK(hint("any").find("Use --source observed") != std::string::npos);
    CHECK(hint("same").find("Use --source observed") == std::string::npos);
    CHECK(hint("same").find("--source YOUR.PUBLIC.ADDRESS") != std::string::npos);
}

#include "client/message/source_address.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

Address address(const char* text) { return *Address::parse(text); }
SourcePolicy policy(const char* text) { return *SourcePolicy::parse(text); }
Route route(const char* local, const char* door, bool on_link = false) {
    return {address(local), address(door), on_link, false};
}
const SourceChoice automatic{};
const SourceChoice observed{.observed = true, .named = {}};

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("--source observed needs a policy that allows it") {
    CHECK_FALSE(check_choice(observed, policy("same")));
    for (const char* text : {"observed", "any", "192.0.2.0/24"}) CHECK(check_choice(observed, policy(text)));
    CHECK(check_choice(automatic, policy("same")));
}

TEST_CASE("the message names the kernel's address, the given one, or none") {
    const Route between = route("1.0.0.7", "1.0.1.5");
    CHECK(message_address(automatic, policy("same"), between)->address == between.local);
    CHECK(message_address(observed, policy("any"), between)->address == Address::any(Family::ipv4));
    const SourceChoice named{.observed = false, .named = address("1.0.2.9")};
    CHECK(message_address(named, policy("same"), between)->address == address("1.0.2.9"));
    CHECK(message_address(observed, policy("any"), route("2600::7", "2600::5"))->address == Address::any(Family::ipv6));
}

TEST_CASE("auto is the own address where the server will see it, else the one the server sees") {
    struct Case {
        const char* local;
        const char* door;
        bool on_link;
        bool own;
    };
    const auto [local, door, on_link, own] =
        GENERATE(Case{"1.0.0.7", "1.0.1.5", false, true}, Case{"2600::7", "2600::5", false, true},
                 Case{"1.0.0.7", "10.0.0.1", false, true}, Case{"192.168.1.5", "1.0.1.5", false, false},
                 Case{"100.64.0.5", "1.0.1.5", false, false}, Case{"192.0.0.1", "1.0.1.5", false, false},
                 Case{"fd00::5", "2600::5", false, false}, Case{"192.168.1.5", "192.168.1.6", true, true},
                 Case{"192.168.1.5", "10.0.0.1", false, false}, Case{"fe80::5", "fe80::1", true, true});
    CAPTURE(local, door);
    for (const char* text : {"observed", "any", "192.168.0.0/16"}) {
        CHECK(depends_on_link(automatic, policy(text), address(local)) != (own && !on_link));
        const auto chosen = message_address(automatic, policy(text), route(local, door, on_link));
        REQUIRE(chosen);
        CHECK(chosen->address == (own ? address(local) : Address::any(address(local).family)));
        CHECK(chosen->warning.empty());
    }
    // A policy that forbids "the address you see" leaves the own one.
    CHECK_FALSE(depends_on_link(automatic, policy("same"), address(local)));
    CHECK(message_address(automatic, policy("same"), route(local, door, on_link))->address == address(local));
}

TEST_CASE("an own address that a NAT must hide is warned of, where nothing else may be asked for") {
    const auto warning = [](const char* local, const char* door) {
        return message_address(automatic, policy("same"), route(local, door))->warning;
    };
    CHECK(contains(warning("10.0.0.5", "1.0.1.5"), "10.0.0.5 is a private address and 1.0.1.5 is public"));
    CHECK(contains(warning("10.0.0.5", "1.0.1.5"), "--source YOUR.PUBLIC.ADDRESS"));
    CHECK(warning("10.0.0.5", "192.168.1.1").empty());  // routed within a company, for example
    CHECK(warning("1.0.0.5", "1.0.1.5").empty());
    CHECK_FALSE(message_address(automatic, policy("any"), route("127.0.0.1", "127.0.0.1")));
}

TEST_CASE("behind a NAT64 the message is of IPv4, and leaves the address open") {
    Route through = route("2600::7", "64:ff9b::1.0.1.5");
    CHECK(message_family(through) == Family::ipv6);
    through.translated = true;
    CHECK(message_family(through) == Family::ipv4);
    for (const SourceChoice& choice : {automatic, observed})
        CHECK(message_address(choice, policy("observed"), through)->address == Address::any(Family::ipv4));
    const auto refused = message_address(automatic, policy("same"), through);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ExitCode::usage);
    CHECK(contains(refused.error().message, "behind this network's NAT64"));
}

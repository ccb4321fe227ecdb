#include "client/knock/targets.hpp"

#include <algorithm>

#include "client_fixtures.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

KnockOptions dry_options(const char* source) {
    KnockOptions options = sample_options();
    options.dry_run = true;
    if (source == std::string_view("observed")) options.source.observed = true;
    else options.source.named = Address::parse(source);
    return options;
}

KeyFile key_at(const char* address) {
    KeyFile key = sample_key("any");
    key.door.address = address;
    return key;
}

}  // namespace

TEST_CASE("numeric addresses need no name service, and keep to their family") {
    CHECK(resolve("203.0.113.5", {})->front().address == *Address::parse("203.0.113.5"));
    CHECK(resolve("2001:db8::5", Family::ipv6)->front().address == *Address::parse("2001:db8::5"));
    CHECK(resolve("::ffff:203.0.113.5", {})->front().address == *Address::parse("203.0.113.5"));
    CHECK(resolve("203.0.113.5", Family::ipv6).error().code == ExitCode::unavailable);
}

TEST_CASE("a dry run needs no route if the message's address is given") {
    std::vector<std::string> skipped;
    const auto named = find_targets(key_at("203.0.113.5"), dry_options("192.0.2.7"), skipped);
    REQUIRE(named);
    CHECK(named->front().address == *Address::parse("192.0.2.7"));
    CHECK(named->front().destination->address == *Address::parse("203.0.113.5"));
    const auto observed = find_targets(key_at("2001:db8::5"), dry_options("observed"), skipped);
    REQUIRE(observed);
    CHECK(observed->front().address == Address::any(Family::ipv6));
    CHECK(skipped.empty());
}

TEST_CASE("a dry run without a destination needs the family") {
    std::vector<std::string> skipped;
    const KeyFile key = key_at("no.such.name.invalid");
    const auto named = find_targets(key, dry_options("2001:db8::7"), skipped);
    REQUIRE(named);
    CHECK(named->front().family == Family::ipv6);
    CHECK_FALSE(named->front().destination);
    KnockOptions options = dry_options("observed");
    CHECK(find_targets(key, options, skipped).error().code == ExitCode::unavailable);
    options.family = Family::ipv4;
    CHECK(find_targets(key, options, skipped)->front().address == Address::any(Family::ipv4));
    options.dry_run = false;
    const auto refused = find_targets(key, options, skipped);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("no.such.name.invalid") != std::string::npos);
}

TEST_CASE("a source address of a family that the door does not have is a usage error") {
    std::vector<std::string> skipped;
    const auto refused = find_targets(key_at("203.0.113.5"), dry_options("2001:db8::7"), skipped);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ExitCode::usage);
}

TEST_CASE("a server behind a NAT64 is named by its own family") {
    std::vector<std::string> warnings;
    const KeyFile key = key_at("64:ff9b::1.0.1.5");
    const auto observed = find_targets(key, dry_options("observed"), warnings);
    REQUIRE(observed);
    CHECK(observed->front().family == Family::ipv4);
    CHECK(observed->front().address == Address::any(Family::ipv4));
    CHECK(observed->front().destination->address.family == Family::ipv6);
    const auto named = find_targets(key, dry_options("192.0.2.7"), warnings);
    REQUIRE(named);
    CHECK(named->front().address == *Address::parse("192.0.2.7"));
    CHECK(find_targets(key, dry_options("2001:db8::7"), warnings).error().code == ExitCode::usage);
}

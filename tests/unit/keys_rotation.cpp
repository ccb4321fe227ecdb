#include "keys/rotation.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr UnixTime start{Seconds{1'800'000'000}};
constexpr Seconds day{86400};

UnixTime days(int count) { return start + count * day; }

std::vector<Generation> first_generation() {
    std::vector<Generation> generations;
    generations.push_back({1, Secret32::random(), start, std::nullopt});
    return generations;
}

// The end of a list's generation in days after the start; -1: none.
int end_day(const std::vector<Generation>& generations, std::size_t index) {
    const auto end = generations[index].not_after;
    return end ? static_cast<int>((*end - start) / day) : -1;
}

Client client_since(const std::string& name, UnixTime since) {
    Client client;
    client.name = name;
    client.generations.push_back({1, Secret32::random(), since, std::nullopt});
    return client;
}

Keyring rotated_door() {
    Keyring keyring;
    keyring.door.generations = first_generation();
    REQUIRE(add_generation(keyring.door.generations, Secret32::random(), days(10), 7 * day));
    keyring.clients.push_back(client_since("alice", start));
    keyring.clients.push_back(client_since("bob", start));
    return keyring;
}

}  // namespace

TEST_CASE("a rotation adds the next generation and ends the one before it after the overlap") {
    auto generations = first_generation();
    const Secret32 secret = Secret32::random();
    REQUIRE(add_generation(generations, secret.copy(), days(10), 7 * day));
    REQUIRE(generations.size() == 2);
    CHECK(end_day(generations, 0) == 17);
    CHECK(generations[1].number == 2);
    CHECK(generations[1].secret.equals(secret));
    CHECK(generations[1].not_before == days(10));
    CHECK_FALSE(generations[1].not_after);
}

TEST_CASE("another rotation makes no earlier end later, and takes out what has ended") {
    auto generations = first_generation();
    REQUIRE(add_generation(generations, Secret32::random(), days(10), 7 * day));
    REQUIRE(add_generation(generations, Secret32::random(), days(12), 7 * day));
    REQUIRE(generations.size() == 3);
    CHECK(end_day(generations, 0) == 17);
    CHECK(end_day(generations, 1) == 19);
    REQUIRE(add_generation(generations, Secret32::random(), days(18), day));
    REQUIRE(generations.size() == 3);
    CHECK(generations[0].number == 2);
    CHECK(end_day(generations, 0) == 19);
    CHECK(end_day(generations, 1) == 19);
    CHECK(generations[2].number == 4);
}

TEST_CASE("without an overlap the earlier generations end with this second") {
    auto generations = first_generation();
    REQUIRE(add_generation(generations, Secret32::random(), days(10), Seconds{0}));
    REQUIRE(generations.size() == 2);
    CHECK_FALSE(has_ended(generations[0], days(10)));
    CHECK(has_ended(generations[0], days(10) + Seconds{1}));
}

TEST_CASE("a generation that would hold for no time is not kept") {
    for (const UnixTime now : {start, start - day}) {  // in the second it was made; by a clock since set back
        auto generations = first_generation();
        REQUIRE(add_generation(generations, Secret32::random(), now, Seconds{0}));
        REQUIRE(generations.size() == 1);
        CHECK(generations[0].number == 2);
    }
}

TEST_CASE("generations have numbers up to the greatest") {
    auto generations = first_generation();
    generations[0].number = UINT32_MAX;
    CHECK_FALSE(add_generation(generations, Secret32::random(), days(1), day));
    CHECK(generations.size() == 1);
    CHECK_FALSE(generations[0].not_after);
    generations[0].not_after = days(5);
    CHECK(end_of(generations, 0, {{UINT32_MAX, {days(1), days(1)}}}, day) == days(5));
}

TEST_CASE("an old generation ends early, a grace period after the first use of a later one") {
    struct Row {
        const char* what;
        Uses uses;
        Grace grace;
        int first_end, second_end;  // in days
    };
    const Row rows[] = {
        {"nothing was used", {}, day, 17, 19},
        {"only the old one was used", {{1, {days(11), days(15)}}}, day, 17, 19},
        {"the second was used", {{2, {days(11), days(11)}}}, day, 12, 19},
        {"the third was used", {{3, {days(14), days(14)}}}, day, 15, 15},
        {"both were used", {{2, {days(13), days(18)}}, {3, {days(12), days(13)}}}, day, 13, 13},
        {"the old one went on being used", {{1, {days(1), days(16)}}, {2, {days(11), days(11)}}}, day, 12, 19},
        {"the use came shortly before the end", {{2, {days(17), days(17)}}}, day, 17, 19},
        {"no grace", {{2, {days(11), days(11)}}}, Seconds{0}, 11, 19},
        {"never early", {{3, {days(12), days(12)}}}, std::nullopt, 17, 19},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        auto generations = first_generation();
        REQUIRE(add_generation(generations, Secret32::random(), days(10), 7 * day));
        REQUIRE(add_generation(generations, Secret32::random(), days(12), 7 * day));
        end_early(generations, row.uses, row.grace);
        CHECK(end_day(generations, 0) == row.first_end);
        CHECK(end_day(generations, 1) == row.second_end);
        CHECK(end_day(generations, 2) == -1);
    }
}

TEST_CASE("a generation that was given a sibling without an end of its own stays") {
    auto generations = first_generation();
    generations.push_back({2, Secret32::random(), days(1), std::nullopt});
    end_early(generations, {{2, {days(2), days(2)}}}, Seconds{0});
    CHECK_FALSE(generations[0].not_after);
}

TEST_CASE("the newest key of an older copy of a file ends as if it had been rotated away") {
    struct Row {
        std::vector<std::pair<std::uint32_t, int>> uses;  // of generations, on days
        Grace grace;
        int ends;  // on this day; -1: never
    };
    const std::vector<Row> rows{{{}, day, -1},
                                {{{1, 4}}, day, -1},
                                {{{2, 4}}, day, 5},
                                {{{3, 4}, {2, 2}, {1, 6}}, day, 3},
                                {{{2, 4}}, Seconds{0}, 4},
                                {{{2, 4}}, std::nullopt, 11}};
    for (const Row& row : rows) {
        auto generations = first_generation();
        Uses uses;
        for (const auto& [number, on] : row.uses) note_use(uses, number, days(on));
        end_outdated(generations, uses, row.grace);
        CAPTURE(&row - rows.data());
        CHECK(end_day(generations, 0) == row.ends);
        CHECK(is_outdated(generations, uses) == (row.ends >= 0));
    }
}

TEST_CASE("uses are kept as the first and the last, in whatever order they come") {
    Uses uses;
    for (const int day_number : {5, 3, 9, 4}) note_use(uses, 2, days(day_number));
    REQUIRE(uses.size() == 1);
    CHECK(uses.at(2).first == days(3));
    CHECK(uses.at(2).last == days(9));
}

TEST_CASE("the door's old secret ends a grace period after the last client has moved") {
    const std::map<std::string, Uses> one{{"alice", {{2, {days(11), days(12)}}}}, {"bob", {{1, {days(1), days(12)}}}}};
    auto both = one;
    note_use(both.at("bob"), 2, days(13));
    const auto end_with = [](Keyring keyring, const std::map<std::string, Uses>& uses) {
        end_early(keyring.door.generations, joint_uses(keyring, uses, days(14)), day);
        return end_day(keyring.door.generations, 0);
    };
    CHECK(end_with(rotated_door(), {}) == 17);
    CHECK(end_with(rotated_door(), one) == 17);
    CHECK(end_with(rotated_door(), both) == 14);
    CHECK(joint_uses(rotated_door(), both, days(14)).at(2).last == days(13));

    SECTION("clients that cannot come in are not waited for") {
        auto keyring = rotated_door();
        keyring.clients[1].revoked = true;
        CHECK(end_with(std::move(keyring), one) == 12);
        keyring = rotated_door();
        keyring.clients[1].expires = days(14) - Seconds{1};
        CHECK(end_with(std::move(keyring), one) == 12);
        keyring = rotated_door();
        keyring.clients[1].expires = days(14);
        CHECK(end_with(std::move(keyring), one) == 17);
    }
    SECTION("clients whose keys are all younger are not waited for") {
        auto keyring = rotated_door();
        keyring.clients[1].generations[0].not_before = days(10) + Seconds{1};
        CHECK(end_with(std::move(keyring), one) == 12);
        keyring = rotated_door();
        keyring.clients[1].generations[0].not_before = days(10);
        CHECK(end_with(std::move(keyring), one) == 17);
    }
    SECTION("a door without clients waits for nobody") {
        auto keyring = rotated_door();
        keyring.clients.clear();
        CHECK(end_with(std::move(keyring), {}) == 11);
    }
}

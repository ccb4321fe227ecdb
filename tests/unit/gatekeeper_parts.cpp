// The small parts of the gatekeeper: hours, hints, grants.
#include "server/gatekeeper/decide/reason.hpp"
#include "server/gatekeeper/keys/book_validity.hpp"
#include "server/gatekeeper/record/gathering.hpp"
#include "server/gatekeeper/verify/hint_table.hpp"
#include "server/privsep/messages.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("books are wanted from a lead before they go live until they are over") {
    constexpr Seconds tolerance{60};
    const UnixTime hour = start_of(Epoch{500'000});
    struct Row {
        int second;  // of the hour
        std::vector<std::uint64_t> epochs;
        int next;
    };
    for (const auto& [second, epochs, next] :
         {Row{0, {499'999, 500'000}, 60}, Row{59, {499'999, 500'000}, 60}, Row{60, {500'000}, 3510},
          Row{3509, {500'000}, 3510}, Row{3510, {500'000, 500'001}, 3660}, Row{3599, {500'000, 500'001}, 3660},
          Row{3659, {500'000, 500'001}, 3660}}) {
        std::vector<std::uint64_t> wanted;
        for (const Epoch epoch : wanted_epochs(hour + Seconds{second}, tolerance)) wanted.push_back(epoch.value);
        CHECK(wanted == epochs);
        CHECK(next_change(hour + Seconds{second}, tolerance) == hour + Seconds{next});
    }
}

TEST_CASE("a clock before 1970 asks for the first hour alone") {
    for (const int second : {-1'000'000, -7200, -5400, -3600, -1})
        CHECK(wanted_epochs(UnixTime{Seconds{second}}, Seconds{60}) == std::vector<Epoch>{Epoch{0}});
}

TEST_CASE("a book lives an hour and the tolerance at both ends, as far as its generation is in force") {
    constexpr Seconds tolerance{60};
    const Epoch epoch{500'000};
    const UnixTime start = start_of(epoch);
    struct Row {
        int not_before;  // seconds of the hour
        std::optional<int> not_after;
        int from;
        int until;
    };
    for (const auto& [not_before, not_after, from, until] :
         {Row{-9999, {}, -60, 3660}, Row{-1, {}, -60, 3660}, Row{1, {}, -59, 3660}, Row{-9999, 3661, -60, 3660},
          Row{1000, 2000, 940, 2000}}) {
        Generation generation{1, Secret32(), start + Seconds{not_before}, std::nullopt};
        if (not_after) generation.not_after = start + Seconds{*not_after};
        const BookValidity life = validity_of_book(epoch, generation, tolerance);
        CHECK(life.from == start + Seconds{from});
        CHECK(life.until == start + Seconds{until});
    }
}

TEST_CASE("a hint names all of its keys, once the table is complete") {
    HintTable table(Epoch{1}, 5);
    const std::uint8_t hints[] = {3, 7, 3, 0, 3};
    const auto keys_of = [&](std::uint8_t low) {
        std::vector<std::uint32_t> keys;
        table.for_each(Hint{{0, low}}, [&](std::uint32_t key) { keys.push_back(key); });
        return keys;
    };
    for (const std::uint8_t hint : hints) {
        CHECK(keys_of(3).empty());
        table.add(Hint{{0, hint}});
    }
    CHECK(keys_of(3) == std::vector<std::uint32_t>{0, 2, 4});
    CHECK(keys_of(7) == std::vector<std::uint32_t>{1});
    CHECK(keys_of(0) == std::vector<std::uint32_t>{3});
    CHECK(keys_of(1).empty());
}

TEST_CASE("a door without clients has complete and empty hint tables") {
    const HintTable table(Epoch{1}, 0);
    int found = 0;
    table.for_each(Hint{{0, 0}}, [&](std::uint32_t) { ++found; });
    CHECK(found == 0);
}

TEST_CASE("every reason has its own name") {
    for (std::size_t i = 0; i < reason_count; ++i) {
        CHECK_FALSE(reason_names[i].empty());
        for (std::size_t j = 0; j < i; ++j) CHECK(reason_names[i] != reason_names[j]);
    }
}

TEST_CASE("knocks are gathered for four times as long as the last commit took, and never behind a pause") {
    using std::chrono::microseconds;
    Gathering gathering;
    CHECK_FALSE(gathering.goes_on(Seconds{1}));
    struct Row {
        microseconds commit, gathered;
    };
    for (const auto& [commit, gathered] :
         {Row{microseconds{400}, microseconds{1600}}, Row{microseconds{0}, microseconds{0}},
          Row{microseconds{500}, microseconds{2000}}, Row{microseconds{90'000}, microseconds{2000}}}) {
        const Instant end = Seconds{5};
        gathering.committed(end - commit, end);
        CHECK(gathering.until() == end + gathered);
        CHECK(gathering.goes_on(end) == (gathered > microseconds{0}));
        CHECK(gathering.goes_on(end + gathered - microseconds{1}));
        CHECK_FALSE(gathering.goes_on(end + gathered));
    }
}

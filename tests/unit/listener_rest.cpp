#include "server/listener/rest.hpp"

#include "tests/catch.hpp"

using namespace oneknock;
using std::chrono::microseconds;

namespace {

constexpr microseconds at_once{5}, a_pause{60};

// Rests of turns in a row.
void go_on(Rest& rest, int turns, std::uint64_t sources) {
    for (int i = 0; i < turns; ++i) static_cast<void>(rest.next(at_once, sources));
}

}  // namespace

TEST_CASE("a rest is short for as long as a knock takes, then grows to its longest") {
    Rest rest;
    for (int turn = 1; turn < Rest::patience; ++turn) CHECK(rest.next(at_once, 0) == Rest::shortest);
    for (const int expected : {100, 200, 400, 800, 1000, 1000}) CHECK(rest.next(at_once, 0) == microseconds{expected});
}

TEST_CASE("packets that are waited for, or a new window, make the rest short again for as long") {
    struct Row {
        microseconds waited;
        std::uint64_t sources;
    };
    for (const auto& [waited, sources] : {Row{a_pause, 7}, Row{Rest::shortest, 7}, Row{at_once, 8}}) {
        Rest rest;
        go_on(rest, 100, 7);
        REQUIRE(rest.next(at_once, 7) == Rest::longest);
        CHECK(rest.next(waited, sources) == Rest::shortest);
        for (int turn = 1; turn < Rest::patience; ++turn) CHECK(rest.next(at_once, sources) == Rest::shortest);
        CHECK(rest.next(at_once, sources) == 2 * Rest::shortest);
    }
}

TEST_CASE("packets that come one by one never make the rest longer") {
    Rest rest;
    for (int turn = 0; turn < 100; ++turn) CHECK(rest.next(a_pause, 0) == Rest::shortest);
}

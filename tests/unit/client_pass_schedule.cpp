#include "client/message/pass_schedule.hpp"

#include "tests/catch.hpp"

using namespace oneknock;
using namespace std::chrono_literals;

namespace {

constexpr Instant start = 1000s;

}  // namespace

TEST_CASE("one pass is sent at once and nothing after it") {
    PassSchedule schedule({64, 0ms, false}, start);
    CHECK(schedule.due() == start);
    const auto turn = schedule.take(start, 0ms);
    CHECK(turn.new_message);
    CHECK(turn.first == 0);
    CHECK(turn.count == 64);
    CHECK(turn.ends_pass);
    CHECK(schedule.due() == never);
}

TEST_CASE("a message is repeated after 250 ms and the jitter, and not once it is 5 s old") {
    struct Case {
        Instant now;  // since the start
        bool new_message;
    };
    // The last repeat may begin exactly 5 s after the message was made.
    const auto [now, new_message] = GENERATE(Case{250ms, false}, Case{750ms, false}, Case{4999ms, false},
                                             Case{5s, false}, Case{5s + 1ns, true}, Case{60s, true});
    PassSchedule schedule({64, 0ms, true}, start);
    (void)schedule.take(start, 500ms);
    CHECK(schedule.due() == start + 750ms);
    const auto turn = schedule.take(start + now, 0ms);
    CHECK(turn.new_message == new_message);
    CHECK(turn.count == 64);
    CHECK(schedule.due() == start + now + 250ms);
}

TEST_CASE("a new message starts a life of its own") {
    PassSchedule schedule({64, 0ms, true}, start);
    (void)schedule.take(start, 0ms);
    CHECK(schedule.take(start + 6s, 0ms).new_message);
    CHECK_FALSE(schedule.take(start + 11s, 0ms).new_message);
    CHECK(schedule.take(start + 11s + 1ns, 0ms).new_message);
}

TEST_CASE("a paced pass sends one packet after the other, and late ones together") {
    PassSchedule schedule({36, 10ms, true}, start);
    auto turn = schedule.take(start, 0ms);
    CHECK(turn.new_message);
    CHECK(turn.count == 1);
    CHECK_FALSE(turn.ends_pass);
    CHECK(schedule.due() == start + 10ms);
    turn = schedule.take(start + 10ms, 0ms);
    CHECK(turn.first == 1);
    CHECK(turn.count == 1);
    turn = schedule.take(start + 45ms, 0ms);
    CHECK(turn.first == 2);
    CHECK(turn.count == 3);
    CHECK(schedule.due() == start + 50ms);
    turn = schedule.take(start + 350ms, 100ms);
    CHECK(turn.first == 5);
    CHECK(turn.count == 31);
    CHECK(turn.ends_pass);
    CHECK(schedule.due() == start + 700ms);
}

TEST_CASE("a paced repeat must end within the life of its message") {
    struct Case {
        Instant now;
        bool new_message;
    };
    const auto [now, new_message] = GENERATE(Case{3s, false}, Case{3s + 1ns, true});
    PassSchedule schedule({51, 40ms, true}, start);  // a pass of 2 s
    (void)schedule.take(start, 0ms);
    CHECK(schedule.take(start + 2s, 0ms).ends_pass);
    CHECK(schedule.take(start + now, 0ms).new_message == new_message);
}

TEST_CASE("after a pass that failed the next one comes as usual, whole and with a new message") {
    PassSchedule schedule({36, 10ms, true}, start);
    (void)schedule.take(start, 0ms);
    schedule.discard_message(start + 10ms, 100ms);
    CHECK(schedule.due() == start + 360ms);
    const auto turn = schedule.take(start + 360ms, 0ms);
    CHECK(turn.new_message);
    CHECK(turn.first == 0);
    PassSchedule once({64, 0ms, false}, start);
    (void)once.take(start, 0ms);
    once.discard_message(start, 0ms);
    CHECK(once.due() == never);
}

TEST_CASE("a pass that nobody watches is sent once more, soon and spread, and nothing after it") {
    struct Case {
        Instant jitter;
        Instant pause;
    };
    const auto [jitter, pause] = GENERATE(Case{0ms, 20ms}, Case{500ms, 40ms});
    PassSchedule schedule({.packets = 64, .pace = 0ms, .twice = true}, start);
    CHECK(schedule.take(start, jitter).count == 64);  // the first goes out as ever
    CHECK(schedule.due() == start + pause);
    auto turn = schedule.take(start + pause, 0ms);
    CHECK_FALSE(turn.new_message);
    CHECK(turn.count == 1);
    CHECK(schedule.due() == start + pause + 500us);
    turn = schedule.take(start + pause + 63 * 500us, 0ms);
    CHECK(turn.ends_pass);
    CHECK(schedule.due() == never);
}

TEST_CASE("passes in vain slow down, then change the carrier, and so on") {
    PassSchedule schedule({.packets = 64, .pace = 0ms, .repeat = true, .adapts = true, .changes_carrier = true}, start);
    Instant now = start;
    std::vector<Instant> paces;
    std::vector<std::size_t> changes;
    for (std::size_t pass = 0; pass < 14; ++pass) {
        now = schedule.due();
        paces.push_back(schedule.pace());
        auto turn = schedule.take(now, 0ms);
        if (turn.other_carrier) changes.push_back(pass);
        if (turn.other_carrier) CHECK(turn.new_message);
        while (!turn.ends_pass) turn = schedule.take(schedule.due(), 0ms);
    }
    CHECK(paces == std::vector<Instant>{0ms, 0ms, 5ms, 15ms, 30ms, 0ms, 5ms, 15ms, 30ms, 0ms, 5ms, 15ms, 30ms, 0ms});
    CHECK(changes == std::vector<std::size_t>{5, 9, 13});
}

// Where slow ones followed each other, two clients whose packets the server cannot tell apart met in all of them.
TEST_CASE("with a chosen carrier passes also become fast again") {
    PassSchedule schedule({.packets = 64, .pace = 0ms, .repeat = true, .adapts = true}, start);
    std::vector<Instant> paces;
    for (std::size_t pass = 0; pass < 10; ++pass) {
        paces.push_back(schedule.pace());
        auto turn = schedule.take(schedule.due(), 0ms);
        CHECK_FALSE(turn.other_carrier);
        while (!turn.ends_pass) turn = schedule.take(schedule.due(), 0ms);
    }
    CHECK(paces == std::vector<Instant>{0ms, 0ms, 5ms, 15ms, 30ms, 0ms, 5ms, 15ms, 30ms, 0ms});
}

TEST_CASE("both carriers have had each pace within twice the usual wait") {
    PassSchedule schedule({.packets = 64, .pace = 0ms, .repeat = true, .adapts = true, .changes_carrier = true}, start);
    std::size_t passes = 0;
    for (; schedule.due() < start + 20s; ++passes) {
        auto turn = schedule.take(schedule.due(), 500ms);
        while (!turn.ends_pass) turn = schedule.take(schedule.due(), 500ms);
    }
    CHECK(passes >= 9);
    CHECK(passes <= 20);  // knocks are few
}

TEST_CASE("a network that let nothing out begins anew, by the same carrier") {
    PassSchedule schedule({.packets = 64, .pace = 0ms, .repeat = true, .adapts = true, .changes_carrier = true}, start);
    for (int pass = 0; pass < 5; ++pass) {
        auto turn = schedule.take(schedule.due(), 0ms);
        while (!turn.ends_pass) turn = schedule.take(schedule.due(), 0ms);
    }
    schedule.discard_message(start + 20s, 0ms);
    CHECK(schedule.pace() == 0ms);
    const auto turn = schedule.take(schedule.due(), 0ms);
    CHECK(turn.new_message);
    CHECK_FALSE(turn.other_carrier);
}

TEST_CASE("a chosen pace is kept, and so is a chosen carrier") {
    PassSchedule schedule({.packets = 36, .pace = 10ms, .repeat = true}, start);
    for (int pass = 0; pass < 12; ++pass) {
        CHECK(schedule.pace() == 10ms);
        auto turn = schedule.take(schedule.due(), 0ms);
        CHECK_FALSE(turn.other_carrier);
        while (!turn.ends_pass) turn = schedule.take(schedule.due(), 0ms);
    }
}

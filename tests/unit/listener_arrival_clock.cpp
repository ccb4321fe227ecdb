// The listener's turns as they are: a verdict is read before packets that came earlier.
#include "server/listener/arrival_clock.hpp"

#include "server/listener/window.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr ArrivalClock::Stamp wall{Seconds{1'800'000'000}};
constexpr Instant steady = Seconds{1000};

}  // namespace

TEST_CASE("the rest of a word that is done is swallowed, also where its verdict is read before it") {
    constexpr std::size_t k = 36;
    Codeword word{};
    Window window;
    ArrivalClock clock;
    const auto tick = [&](std::size_t packet) { return tick_of(clock.packet(wall + 10 * microseconds(packet))); };
    const auto symbol = [&](std::size_t packet) { return Symbol{static_cast<std::uint8_t>(packet), word[packet]}; };
    clock.begin_turn(steady + milliseconds{2}, wall + milliseconds{2});
    for (std::size_t packet = 0; packet < k; ++packet) CHECK(window.add(symbol(packet), tick(packet)));
    // The rest came within the same millisecond; it waits until the verdict of 3 ms later has been read.
    clock.begin_turn(steady + milliseconds{5}, wall + milliseconds{5});
    window.finish(word, tick_of(clock.now()));
    for (std::size_t packet = k; packet < codeword_length; ++packet)
        CHECK(window.swallows(symbol(packet), tick(packet)));
}

TEST_CASE("the assembler's time follows the packets, not the reading of them, and never goes back") {
    ArrivalClock clock;
    clock.begin_turn(steady, wall);
    CHECK(clock.packet(wall - microseconds{700}) == steady - microseconds{700});
    CHECK(clock.packet(wall - microseconds{300}) == steady - microseconds{300});
    CHECK(clock.packet(wall - microseconds{500}) == steady - microseconds{300});
    CHECK(clock.now() == steady - microseconds{300});
    CHECK(clock.packet(wall + microseconds{50}) == steady);  // it came after the turn had begun
    clock.begin_turn(steady + Seconds{9}, wall + Seconds{9});
    CHECK(clock.now() == steady);
    CHECK(clock.packet(wall) == steady + Seconds{8});  // longer than packets wait: somebody set a clock
    clock.all_read();
    CHECK(clock.now() == steady + Seconds{9});
}

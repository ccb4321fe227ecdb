// The time the assembler lives in, which never goes back: when the packets came, not when they are read.
//
// What tells a knock from junk is when its packets came, and they may have waited for us. So the present time is not
// the assembler's as long as packets from before it may still be waiting: a verdict that is read ahead of them is given
// as of the last packet that was read.
#pragma once

#include <algorithm>
#include <chrono>

#include "common/clock.hpp"

namespace oneknock {

class ArrivalClock {
public:
    using Stamp = std::chrono::sys_time<std::chrono::microseconds>;  // the kernel's, of a packet

    // Both clocks, read at the same moment, before the turn's packets are read.
    void begin_turn(Instant steady, Stamp wall) {
        turn_ = steady;
        turn_wall_ = wall;
    }
    // When a packet came. A wall clock that is set while it waits makes it wrong for this turn.
    Instant packet(Stamp stamp) {
        const auto age = std::clamp(turn_wall_ - stamp, std::chrono::microseconds{0}, longest_wait);
        return advance(turn_ - age);
    }
    // Every packet from before the turn has been read: nothing older comes any more.
    void all_read() { advance(turn_); }

    [[nodiscard]] Instant now() const { return now_; }

private:
    static constexpr std::chrono::microseconds longest_wait = std::chrono::seconds{1};  // in the capture's buffer

    Instant advance(Instant time) { return now_ = std::max(now_, time); }

    Instant now_{}, turn_{};
    Stamp turn_wall_{};
};

}  // namespace oneknock

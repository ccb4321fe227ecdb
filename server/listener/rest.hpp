// How long the listener rests behind a turn that brought packets.
//
// Packets come in bursts: for a moment after some were read nobody need be woken for each of them. A knock takes less
// time for it, since the kernel is faster with its packets, and a flood costs fewer turns. Where one turn follows the
// other and nobody new has said enough for a window, it is a flood, and a rest may last twenty times as long; the first
// window ends that, so that a knock in a flood waits for one long rest at most.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "common/clock.hpp"

namespace oneknock {

class Rest {
public:
    static constexpr std::chrono::microseconds shortest{50};
    static constexpr std::chrono::microseconds longest{1000};  // a million packets a second fill a tenth of the buffer
    static constexpr int patience = 16;                        // turns in a row: longer than a knock takes to arrive

    // The next one, behind a turn that waited for its packets so long, its rest not counted. `sources`: how many have
    // been given windows so far.
    [[nodiscard]] std::chrono::microseconds next(Instant waited, std::uint64_t sources) {
        const bool goes_on = waited < shortest && sources == sources_;
        turns_ = goes_on ? std::min(turns_ + 1, patience) : 0;
        rest_ = turns_ < patience ? shortest : std::min(2 * rest_, longest);
        sources_ = sources;
        return rest_;
    }

private:
    std::chrono::microseconds rest_ = shortest;
    int turns_ = 0;
    std::uint64_t sources_ = 0;
};

}  // namespace oneknock

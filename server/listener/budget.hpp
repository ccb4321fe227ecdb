// Tokens that refill with time: what a decode costs (docs/protocol.md, "Receiving", step 4).
#pragma once

#include <algorithm>

#include "common/clock.hpp"

namespace oneknock {

struct Rate {
    double per_second;
    double burst;
};

// Implementation constants, not protocol: a decode costs 1 to 14 microseconds, so all sources together can take at
// most about a tenth of a core, and one source a fifth of that.
inline constexpr Rate decodes_in_all{10'000, 5'000};
inline constexpr Rate decodes_per_source{2'000, 1'024};

// A bucket lies wherever its owner keeps it: tokens (negative: never used, full) and the time of the last refill.
inline void refill(double& tokens, Instant& refilled, Instant now, const Rate& rate) {
    if (tokens < 0) {
        tokens = rate.burst;
    } else if (now > refilled) {
        const double seconds = std::chrono::duration<double>(now - refilled).count();
        tokens = std::min(rate.burst, tokens + seconds * rate.per_second);
    }
    refilled = std::max(refilled, now);
}

}  // namespace oneknock

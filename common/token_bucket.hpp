// Tokens that refill with time: how often something may happen.
#pragma once

#include <algorithm>

#include "common/clock.hpp"

namespace oneknock {

struct Rate {
    double per_second;
    double burst;
};

// Full when it is first used. The rate is given with each use, so that a bucket takes no room for it.
class TokenBucket {
public:
    void refill(const Rate& rate, Instant now) {
        if (tokens_ < 0) {
            tokens_ = rate.burst;
        } else if (now > refilled_) {
            const double seconds = std::chrono::duration<double>(now - refilled_).count();
            tokens_ = std::min(rate.burst, tokens_ + seconds * rate.per_second);
        }
        refilled_ = std::max(refilled_, now);
    }

    // As of the last refill; negative before the first.
    [[nodiscard]] double tokens() const { return tokens_; }
    [[nodiscard]] Instant refilled() const { return refilled_; }

    // Only where there is a whole one.
    void take() { tokens_ -= 1; }

    // Refills, and takes a token if there is one.
    [[nodiscard]] bool try_take(const Rate& rate, Instant now) {
        refill(rate, now);
        if (tokens_ < 1) return false;
        take();
        return true;
    }

private:
    double tokens_ = -1;
    Instant refilled_{};
};

}  // namespace oneknock

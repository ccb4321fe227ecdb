// Which knocks one commit takes. The first behind a pause is committed at once, and with it what waits already. Those
// that come while a commit is under way, or within four times as long behind it, are gathered for the next one: when
// knocks come close upon each other, the disk is waited for at most a fifth of the time, however fast it is.
#pragma once

#include <algorithm>
#include <chrono>

#include "common/clock.hpp"

namespace oneknock {

class Gathering {
public:
    static constexpr Instant longest = std::chrono::milliseconds{2};  // behind a slow disk enough have come meanwhile

    void committed(Instant begin, Instant end) { until_ = end + std::clamp(4 * (end - begin), Instant{0}, longest); }
    [[nodiscard]] Instant until() const { return until_; }
    [[nodiscard]] bool goes_on(Instant now) const { return now < until_; }

private:
    Instant until_{};
};

}  // namespace oneknock

// The loop that sends the knocks of all targets and, if asked, watches their ports until the goal is reached.
#pragma once

#include <optional>
#include <vector>

#include "client/knock/target_knock.hpp"

namespace oneknock {

enum class Goal : std::uint8_t {
    sent,    // every pass is out
    open,    // one target's port accepts a connection
    closed,  // no target's port accepts connections any more
};

struct WaitResult {
    struct PerTarget {
        std::optional<Error> failed;       // it could not be knocked at
        std::optional<Instant> confirmed;  // since the start; for goals open and closed
    };
    std::vector<PerTarget> targets;  // in the order of the knocks
    Instant elapsed{};
    bool reached = false;   // the goal
    Descriptor connection;  // goal open: the one that was accepted
};

// `wait`: the longest time for goals open and closed. If every target fails, the error of the first.
[[nodiscard]] Result<WaitResult> run_knocks(std::vector<TargetKnock>& knocks, Goal goal, Instant wait);

}  // namespace oneknock

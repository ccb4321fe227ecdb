// The loop that knocks at all addresses of the door and, with --wait, watches their ports and knocks again until one
// answers. When a pass or a new message is due: client/message/pass_schedule.
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

struct TargetOutcome {
    std::optional<Error> failed;       // it could not be knocked at
    std::optional<Instant> confirmed;  // since the start; for goals open and closed
};

struct KnockOutcome {
    std::vector<TargetOutcome> targets;  // in the order of the knocks
    Instant elapsed{};
    bool reached = false;   // the goal
    Descriptor connection;  // goal open: the one that was accepted
};

// `wait`: the longest time for goals open and closed. If every target fails, the error of the first.
[[nodiscard]] Result<KnockOutcome> run_knock_loop(std::vector<TargetKnock>& knocks, Goal goal, Instant wait);

}  // namespace oneknock

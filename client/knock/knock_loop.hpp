// The loop that knocks at all addresses of the door and, with --wait, watches their ports and knocks again until one
// answers. When a pass or a new message is due: client/message/pass_schedule.
#pragma once

#include <functional>
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
    bool retired = false;              // the door's name no longer leads there
};

struct KnockOutcome {
    std::vector<TargetKnock> knocks;
    std::vector<TargetOutcome> targets;  // of each knock
    std::optional<Error> not_found;      // why the door was not found when it was last looked up
    Instant elapsed{};
    bool reached = false;   // the goal
    Descriptor connection;  // goal open: the one that was accepted

    [[nodiscard]] bool has_sent() const;  // a pass at least
    // Of the knocks, of which there is one at least: the first that was sent and leads to the door still.
    [[nodiscard]] std::size_t likeliest() const;
};

// How to knock, and for how long.
struct KnockPlan {
    Goal goal = Goal::sent;
    Instant deadline = never;  // steady clock; for goals open and closed
    // Looks the door up anew, for goals open and closed: before each new message, and while there is no target.
    std::function<Result<std::vector<Target>>()> look_up;
    // Called about ten times a second while the loop waits.
    std::function<void(const KnockOutcome& so_far)> watch;
    std::optional<Error> not_found;  // why there are no targets yet
    PcapWriter* record = nullptr;
};

// The targets were not found by a dry run; none are enough if the plan can look them up. If every target fails, the
// error of the first.
[[nodiscard]] Result<KnockOutcome> run_knock_loop(const Task& task, const std::vector<Target>& targets,
                                                  const KnockPlan& plan);

}  // namespace oneknock

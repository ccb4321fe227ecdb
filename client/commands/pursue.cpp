#include "client/commands/pursue.hpp"

#include "client/commands/progress_line.hpp"
#include "client/commands/reasons.hpp"

namespace oneknock {
namespace {

Goal goal_of(const KnockOptions& options) {
    if (!options.wait) return Goal::sent;
    return options.operation == Operation::open ? Goal::open : Goal::closed;
}

}  // namespace

Result<KnockOutcome> pursue(const PreparedKnock& prepared, const KnockOptions& options, PcapWriter* record) {
    ProgressLine progress(options);
    KnockPlan plan{.goal = goal_of(options),
                   .deadline = prepared.deadline,
                   .look_up = {},
                   .watch = {},
                   .not_found = prepared.not_found,
                   .record = record};
    if (options.wait) {
        plan.look_up = [&] {
            std::vector<std::string> said_before;
            return find_door(prepared.door.key, options, said_before, prepared.deadline);
        };
        plan.watch = [&](const KnockOutcome& so_far) { progress.show(so_far); };
    }
    const Task task{prepared.door.key, options, prepared.service};
    auto outcome = run_knock_loop(task, prepared.targets, plan);
    if (outcome || !options.wait || !may_mend(outcome.error())) return outcome;
    return tl::unexpected(never_sent(outcome.error(), options));
}

}  // namespace oneknock

#include <optional>

#include "client/commands/commands.hpp"
#include "client/commands/dry_run.hpp"
#include "client/commands/prepare_knock.hpp"
#include "client/commands/report.hpp"
#include "client/knock/knock_loop.hpp"
#include "common/log.hpp"

namespace oneknock {
namespace {

Goal goal_of(const KnockOptions& options) {
    if (!options.wait) return Goal::sent;
    return options.operation == Operation::open ? Goal::open : Goal::closed;
}

Report report_of(const TargetKnock& knock, const TargetOutcome& target, const KnockOutcome& outcome,
                 const KnockOptions& options) {
    Report report = report_of(knock, options);
    if (target.confirmed) report.confirmed = true;
    else if (options.wait && !outcome.reached) report.confirmed = false;
    report.elapsed = target.confirmed.value_or(outcome.elapsed);
    return report;
}

Result<void> print_outcome(const Task& task, const KnockOptions& options, const std::vector<TargetKnock>& knocks,
                           const KnockOutcome& outcome) {
    Result<void> result;
    std::optional<Report> late;
    for (std::size_t i = 0; i < knocks.size(); ++i) {
        const TargetOutcome& target = outcome.targets[i];
        if (target.failed) {
            log::warning(target.failed->message);
            continue;
        }
        const Report report = report_of(knocks[i], target, outcome, options);
        if (report.confirmed == false && !late) late = report;
        // For people, --wait is about what was seen to happen.
        if (options.json || !options.wait || target.confirmed) keep_first_error(result, print_report(report, options));
    }
    if (late) keep_first_error(result, tl::unexpected(timed_out(*late, task.key, options, read_clocks().wall)));
    return result;
}

Result<void> knock(const Task& task, const KnockOptions& options, const std::vector<Target>& targets) {
    auto record = PcapWriter::create_if(options.write);
    if (!record) return tl::unexpected(record.error());
    auto knocks = make_knocks(task, targets, *record ? &**record : nullptr);
    const auto outcome = run_knock_loop(knocks, goal_of(options), options.wait.value_or(std::chrono::milliseconds{0}));
    Result<void> result;
    if (*record) result = (*record)->finish();
    if (!outcome) return tl::unexpected(outcome.error());
    keep_first_error(result, print_outcome(task, options, knocks, *outcome));
    return result;
}

}  // namespace

Result<void> open_or_close_command(const KnockOptions& options) {
    const UnixTime now = read_clocks().wall;
    const auto prepared = prepare_knock(options, now);
    if (!prepared) return tl::unexpected(prepared.error());
    const Task task{prepared->door.key, options, prepared->service};
    if (options.dry_run) return dry_run(task, options, prepared->targets, now);
    return knock(task, options, prepared->targets);
}

}  // namespace oneknock

#include <optional>

#include "client/commands/commands.hpp"
#include "client/commands/dry_run.hpp"
#include "client/commands/pursue.hpp"
#include "client/commands/reasons.hpp"
#include "common/log.hpp"

namespace oneknock {
namespace {

// Whether the port was seen to become what was asked for; nothing where it was so before.
std::optional<bool> confirmation(const Report& report, const TargetOutcome& target, const KnockOutcome& outcome) {
    const bool was_so = report.was_open == report.request.is_open();
    if (target.confirmed) return was_so ? std::nullopt : std::optional(true);
    return outcome.reached ? std::nullopt : std::optional(false);
}

Report report_of(const TargetKnock& knock, const TargetOutcome& target, const KnockOutcome& outcome,
                 const KnockOptions& options) {
    Report report = report_of(knock, options);
    if (options.wait) report.confirmed = confirmation(report, target, outcome);
    report.elapsed = target.confirmed.value_or(outcome.elapsed);
    return report;
}

Result<void> print_outcome(const PreparedKnock& prepared, const KnockOptions& options, const KnockOutcome& outcome) {
    Result<void> result;
    for (std::size_t i = 0; i < outcome.knocks.size(); ++i) {
        const TargetOutcome& target = outcome.targets[i];
        if (target.retired) continue;
        if (target.failed) {
            log::warning(target.failed->message);
            continue;
        }
        const Report report = report_of(outcome.knocks[i], target, outcome, options);
        // For people, --wait is about what was seen to happen.
        if (options.json || !options.wait || target.confirmed) keep_first_error(result, print_report(report, options));
    }
    if (!options.wait || outcome.reached) return result;
    const Report late = report_of(outcome.knocks[outcome.likeliest()], options);
    keep_first_error(result, tl::unexpected(timed_out(late, prepared.door.key, options, read_clocks().wall)));
    return result;
}

Result<void> knock(const PreparedKnock& prepared, const KnockOptions& options) {
    auto record = PcapWriter::create_if(options.write);
    if (!record) return tl::unexpected(record.error());
    const auto outcome = pursue(prepared, options, *record ? &**record : nullptr);
    Result<void> result;
    if (*record) result = (*record)->finish();
    if (!outcome) return tl::unexpected(outcome.error());
    keep_first_error(result, print_outcome(prepared, options, *outcome));
    return result;
}

}  // namespace

Result<void> open_or_close_command(const KnockOptions& options) {
    const UnixTime now = read_clocks().wall;
    const auto prepared = prepare_knock(options, now, options.wait ? Patience::will_wait : Patience::none);
    if (!prepared) return tl::unexpected(prepared.error());
    if (!options.dry_run) return knock(*prepared, options);
    return dry_run({prepared->door.key, options, prepared->service}, options, prepared->targets, now);
}

}  // namespace oneknock

#include "client/commands/open_and_wait.hpp"

#include "client/commands/pursue.hpp"
#include "client/commands/reasons.hpp"
#include "common/log.hpp"

namespace oneknock {

Result<Descriptor> open_and_wait(const PreparedKnock& prepared, const KnockOptions& options) {
    auto outcome = pursue(prepared, options, nullptr);
    if (!outcome) return tl::unexpected(outcome.error());
    const Report report = report_of(outcome->knocks[outcome->likeliest()], options);
    if (outcome->reached) {
        if (options.verbose) log::info(confirmed_line(report));
        return std::move(outcome->connection);
    }
    return tl::unexpected(timed_out(report, prepared.door.key, options, read_clocks().wall));
}

}  // namespace oneknock

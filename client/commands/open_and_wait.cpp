#include "client/commands/open_and_wait.hpp"

#include "client/commands/report.hpp"
#include "client/knock/knock_loop.hpp"

namespace oneknock {

Result<Descriptor> open_and_wait(const PreparedKnock& prepared, const KnockOptions& options) {
    const Task task{prepared.door.key, options, prepared.service};
    auto knocks = make_knocks(task, prepared.targets, nullptr);
    auto outcome = run_knock_loop(knocks, Goal::open, *options.wait);
    if (!outcome) return tl::unexpected(outcome.error());
    if (outcome->reached) return std::move(outcome->connection);
    return tl::unexpected(timed_out(report_of(knocks.front(), options), task.key, options, read_clocks().wall));
}

}  // namespace oneknock

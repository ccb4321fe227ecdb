#include "client/commands/keep_open.hpp"

#include <algorithm>
#include <thread>

#include "client/commands/child.hpp"
#include "client/commands/reasons.hpp"
#include "client/knock/knock_loop.hpp"
#include "common/log.hpp"

namespace oneknock {
namespace {

constexpr auto pause_before_another_try = std::chrono::milliseconds{500};

Result<void> knock(const Task& task, const std::vector<Target>& targets) {
    const auto outcome = run_knock_loop(task, targets, {});
    if (!outcome) return tl::unexpected(outcome.error());
    for (const TargetOutcome& target : outcome->targets)
        if (target.failed) log::warning(target.failed->message);
    return {};
}

// With the routes and addresses of now. What an address that is skipped has to say was said at the first knock.
Result<void> knock_again(const Task& task, const KnockOptions& options, Instant deadline) {
    std::vector<std::string> skipped;
    const auto targets = find_targets(task.key, options, skipped, deadline);
    if (!targets) return tl::unexpected(targets.error());
    return knock(task, *targets);
}

}  // namespace

Seconds kept_duration(const KnockSettings& settings, const KeyFile& key) {
    const Seconds wanted = settings.duration == Seconds{0} ? longest_kept : settings.duration;
    return std::min(wanted, key.client.max_duration);
}

Instant renewal_interval(Seconds duration) { return std::max<Instant>(Instant(duration) / 3, std::chrono::seconds{1}); }

Result<void> knock_unwatched(const PreparedKnock& prepared, const KnockOptions& options) {
    const Task task{prepared.door.key, options, prepared.service};
    auto sent = prepared.not_found ? Result<void>(tl::unexpected(*prepared.not_found)) : knock(task, prepared.targets);
    while (!sent && may_mend(sent.error()) && read_clocks().steady < prepared.deadline) {
        std::this_thread::sleep_for(pause_before_another_try);
        sent = knock_again(task, options, prepared.deadline);
    }
    if (sent) std::this_thread::sleep_for(time_to_grant);
    else if (may_mend(sent.error())) return tl::unexpected(never_sent(sent.error(), options));
    return sent;
}

Result<int> keep_open(const PreparedKnock& prepared, const KnockOptions& options,
                      const std::vector<std::string>& command) {
    KnockOptions renewed = options;
    renewed.duration = kept_duration(options, prepared.door.key);
    const Instant interval = renewal_interval(renewed.duration);
    Instant due = read_clocks().steady + interval;
    if (auto first = knock_unwatched(prepared, renewed); !first) return tl::unexpected(first.error());
    auto child = Child::start(command);
    if (!child) return tl::unexpected(child.error());
    bool fails = false;  // said once, until a knock gets out again
    for (;;) {
        if (const auto status = child->wait_until(due)) return *status;
        due = read_clocks().steady + interval;
        const auto sent = knock_again(Task{prepared.door.key, renewed, prepared.service}, renewed, due);
        if (!sent && !fails) log::warning("cannot knock again: " + sent.error().message);
        fails = !sent;
    }
}

}  // namespace oneknock

#include <optional>

#include "client/commands/commands.hpp"
#include "client/commands/prepare.hpp"
#include "client/knock/knock_loop.hpp"
#include "common/fd.hpp"
#include "common/log.hpp"

namespace oneknock {
namespace {

Result<std::optional<PcapWriter>> create_record(const KnockOptions& options) {
    if (!options.write) return std::optional<PcapWriter>{};
    auto writer = PcapWriter::create(*options.write);
    if (!writer) return tl::unexpected(writer.error());
    return std::optional<PcapWriter>{*std::move(writer)};
}

PcapWriter* pointer_to(std::optional<PcapWriter>& record) { return record ? &*record : nullptr; }

// Keeps the first error.
void add_error(Result<void>& result, Result<void> next) {
    if (result && !next) result = std::move(next);
}

Result<void> print(const Report& report, const KnockOptions& options) {
    if (options.json) return print_line(json_line(report));
    if (options.dry_run) return print_line(dry_run_text(report));
    return print_line(options.wait ? confirmed_line(report) : sent_line(report));
}

// --- dry run ---

// A random one of the dynamic range (RFC 6335), as a kernel would choose.
std::uint16_t dynamic_port() { return static_cast<std::uint16_t>(49152 + random_below(65536 - 49152)); }

Result<PacketEnds> ends_for_record(const Target& target, std::uint16_t source_port) {
    if (!target.destination)
        return fail(ExitCode::unavailable, "--write needs the door's address, which cannot be resolved");
    if (!target.local && target.address.is_unspecified())
        return fail(ExitCode::unavailable, "--write needs a source address, and there is no route to " +
                                               target.destination->address.text() + "; use --source ADDR");
    // As the server would see them: a named address is the one that a translator on the way gives the packets.
    const Address source = target.address.is_unspecified() ? target.local->address : target.address;
    return PacketEnds{source, target.destination->address, source_port, 0};
}

Report plan_report(const Task& task, const Target& target, UnixTime now) {
    Report report;
    report.service = task.options.service;
    report.request = make_request(task, target.address, now);
    if (target.destination) report.destination = target.destination->address;
    report.source_port = dynamic_port();
    report.via = task.options.via;
    report.ports = ports_of_pass(make_knock(task, report.request), task.options.packets);
    return report;
}

Result<void> dry_run(const Task& task, const std::vector<Target>& targets, UnixTime now) {
    if (task.options.write)
        for (const Target& target : targets)
            if (const auto ends = ends_for_record(target, 0); !ends) return tl::unexpected(ends.error());
    auto record = create_record(task.options);
    if (!record) return tl::unexpected(record.error());
    Result<void> result;
    for (const Target& target : targets) {
        const Report report = plan_report(task, target, now);
        if (*record) (*record)->add(report.via, *ends_for_record(target, report.source_port), report.ports, now);
        add_error(result, print(report, task.options));
    }
    if (*record) add_error(result, (*record)->finish());
    return result;
}

// --- for real ---

Goal goal_of(const KnockOptions& options) {
    if (!options.wait) return Goal::sent;
    return options.operation == Operation::open ? Goal::open : Goal::closed;
}

Report report_of(const TargetKnock& knock, const WaitResult::PerTarget& target, const WaitResult& result,
                 const KnockOptions& options) {
    Report report = report_of(knock, options);
    if (target.confirmed) report.confirmed = true;
    else if (options.wait && !result.reached) report.confirmed = false;
    report.elapsed = target.confirmed.value_or(result.elapsed);
    return report;
}

Result<void> tell(const Task& task, const std::vector<TargetKnock>& knocks, const WaitResult& result) {
    Result<void> outcome;
    std::optional<Report> late;
    for (std::size_t i = 0; i < knocks.size(); ++i) {
        const auto& target = result.targets[i];
        if (target.failed) {
            log::warning(target.failed->message);
            continue;
        }
        const Report report = report_of(knocks[i], target, result, task.options);
        if (report.confirmed == false && !late) late = report;
        // For people, --wait is about what was seen to happen.
        if (task.options.json || !task.options.wait || target.confirmed)
            add_error(outcome, print(report, task.options));
    }
    if (late) add_error(outcome, tl::unexpected(timed_out(*late, task.key, task.options, read_clocks().wall)));
    return outcome;
}

Result<void> knock(const Task& task, const std::vector<Target>& targets) {
    auto record = create_record(task.options);
    if (!record) return tl::unexpected(record.error());
    std::vector<TargetKnock> knocks = make_knocks(task, targets, pointer_to(*record));
    const auto wait = task.options.wait.value_or(std::chrono::milliseconds{0});
    const auto result = run_knocks(knocks, goal_of(task.options), wait);
    Result<void> outcome;
    if (*record) outcome = (*record)->finish();
    if (!result) return tl::unexpected(result.error());
    add_error(outcome, tell(task, knocks, *result));
    return outcome;
}

}  // namespace

Result<void> open_or_close_command(const KnockOptions& options) {
    const UnixTime now = read_clocks().wall;
    const auto preparation = prepare(options, now);
    if (!preparation) return tl::unexpected(preparation.error());
    for (const std::string& warning : preparation->warnings) log::warning(warning);
    const Task task{preparation->door.key, options, preparation->service};
    return options.dry_run ? dry_run(task, preparation->targets, now) : knock(task, preparation->targets);
}

}  // namespace oneknock

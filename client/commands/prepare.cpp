#include "client/commands/prepare.hpp"

#include "client/knock/knock_loop.hpp"
#include "client/knock/source_address.hpp"
#include "common/log.hpp"

namespace oneknock {
namespace {

Result<void> check_wait(const KnockOptions& options, const Service& service) {
    if (!options.wait || service.protocol == protocol_tcp) return {};
    return fail(ExitCode::usage, service.text() +
                                     ": a UDP port gives no answer that could be waited for; knock without "
                                     "waiting: oneknock " +
                                     operation_name(options.operation) + " " + options.door + " " + options.service);
}

std::vector<std::string> warnings_about(const KnockOptions& options, const OpenedDoor& door, const Service& service) {
    std::vector<std::string> warnings;
    const Seconds most = door.key.client.max_duration;
    if (options.operation == Operation::close && options.duration != Seconds{0})
        warnings.push_back("--for means nothing to close");
    else if (options.duration > most)
        warnings.push_back("--for " + duration_text(options.duration) + ": this key is good for " +
                           duration_text(most) + " at most; the server will shorten it");
    if (!is_listed(door.key, service))
        warnings.push_back(door.path + " does not list " + service.text() + "; the server may refuse it");
    return warnings;
}

}  // namespace

Result<Preparation> prepare(const KnockOptions& options, UnixTime now) {
    const auto time = knock_time(options, now);
    if (!time) return tl::unexpected(time.error());
    auto door = open_door(options.door, *time, options.key_fd);
    if (!door) return tl::unexpected(door.error());
    const auto service = find_service(*door, options.service);
    if (!service) return tl::unexpected(service.error());
    if (const auto fits = check_wait(options, *service); !fits) return tl::unexpected(fits.error());
    if (const auto fits = check_choice(options.source, door->key.client.source); !fits)
        return tl::unexpected(fits.error());
    auto warnings = warnings_about(options, *door, *service);
    auto targets = find_targets(door->key, options, warnings);
    if (!targets) return tl::unexpected(targets.error());
    if (const auto enough = check_packets(options.packets, *targets); !enough) return tl::unexpected(enough.error());
    return Preparation{*std::move(door), *service, *std::move(targets), std::move(warnings)};
}

std::vector<TargetKnock> make_knocks(const Task& task, const std::vector<Target>& targets, PcapWriter* record) {
    std::vector<TargetKnock> knocks;
    knocks.reserve(targets.size());
    const Instant start = read_clocks().steady;
    for (const Target& target : targets) knocks.emplace_back(task, target, record, start);
    return knocks;
}

Report report_of(const TargetKnock& knock, const KnockOptions& options) {
    Report report;
    report.service = options.service;
    report.request = knock.request();
    report.destination = knock.target().destination->address;
    report.source_port = knock.source_port();
    report.via = options.via;
    report.ports = knock.ports();
    report.sent = true;
    return report;
}

Result<Descriptor> open_and_wait(const KnockOptions& options) {
    const auto preparation = prepare(options, read_clocks().wall);
    if (!preparation) return tl::unexpected(preparation.error());
    for (const std::string& warning : preparation->warnings) log::warning(warning);
    const Task task{preparation->door.key, options, preparation->service};
    std::vector<TargetKnock> knocks = make_knocks(task, preparation->targets, nullptr);
    auto result = run_knocks(knocks, Goal::open, *options.wait);
    if (!result) return tl::unexpected(result.error());
    if (result->reached) return std::move(result->connection);
    return tl::unexpected(timed_out(report_of(knocks.front(), options), task.key, options, read_clocks().wall));
}

}  // namespace oneknock

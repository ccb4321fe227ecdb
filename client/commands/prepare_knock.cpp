#include "client/commands/prepare_knock.hpp"

#include "client/message/make_message.hpp"
#include "client/message/source_address.hpp"
#include "common/log.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

Result<void> check_wait(const KnockOptions& options, const Service& service) {
    if (!options.wait || service.protocol == protocol_tcp) return {};
    const std::string words = shell_word(options.door) + " " + shell_word(options.service);
    return fail(ExitCode::usage,
                service.text() + ": a UDP service cannot be watched or connected to; knock without waiting: oneknock " +
                    operation_name(options.operation) + " " + words +
                    ", or have it kept open while a command runs: oneknock run " + words + " -- COMMAND");
}

void warn(const KnockOptions& options, const OpenedDoor& door, const Service& service) {
    const Seconds most = door.key.client.max_duration;
    if (options.operation == Operation::close && options.duration != Seconds{0})
        log::warning("--for is ignored by close");
    else if (options.duration > most)
        log::warning("--for " + duration_text(options.duration) + ": this key is limited to " + duration_text(most) +
                     "; the server will shorten the time");
    if (!is_listed(door.key, service))
        log::warning(printable(door.path) + " does not list " + service.text() + "; the server may refuse it");
}

}  // namespace

Result<std::vector<Target>> find_door(const KeyFile& key, const KnockOptions& options,
                                      std::vector<std::string>& warnings, std::optional<Instant> deadline) {
    auto targets = find_targets(key, options, warnings, deadline);
    if (!targets) return targets;
    for (const Target& target : *targets)
        if (const auto enough = check_packet_count(options.packets, target.family); !enough)
            return tl::unexpected(enough.error());
    return targets;
}

Result<PreparedKnock> prepare_knock(const KnockOptions& options, UnixTime now, Patience patience) {
    const auto time = message_time(options, now);
    if (!time) return tl::unexpected(time.error());
    auto door = open_door(options.door, *time, options.key_fd);
    if (!door) return tl::unexpected(door.error());
    return prepare_knock(*std::move(door), options, patience);
}

Result<PreparedKnock> prepare_knock(OpenedDoor door, const KnockOptions& options, Patience patience) {
    const auto service = find_service(door, options.service);
    if (!service) return tl::unexpected(service.error());
    if (const auto fits = check_wait(options, *service); !fits) return tl::unexpected(fits.error());
    if (const auto fits = check_choice(options.source, door.key.client.source); !fits)
        return tl::unexpected(fits.error());
    std::vector<std::string> warnings;
    const bool waits = patience == Patience::will_wait;
    const Instant deadline = read_clocks().steady + options.wait.value_or(default_wait);
    auto targets = find_door(door.key, options, warnings, waits ? std::optional(deadline) : std::nullopt);
    if (!targets && !(waits && may_mend(targets.error()))) return tl::unexpected(targets.error());
    warn(options, door, *service);
    for (const std::string& warning : warnings) log::warning(warning);
    if (!targets) return PreparedKnock{std::move(door), *service, {}, targets.error(), deadline};
    return PreparedKnock{std::move(door), *service, *std::move(targets), std::nullopt, deadline};
}

}  // namespace oneknock

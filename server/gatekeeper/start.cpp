#include "server/gatekeeper/start.hpp"

#include <algorithm>

#include <unistd.h>

#include "common/files.hpp"
#include "common/log.hpp"
#include "common/poll.hpp"
#include "keys/rotation.hpp"
#include "server/privsep/system_calls.hpp"

namespace oneknock {
namespace {

// The first load: blocks until every file has come.
Result<LoadedKeys> receive_keys(Channel& channel) {
    KeyLoading loading(std::nullopt, [](Client client) { return prepare_client(std::move(client), {}); });
    Datagram datagram;
    for (;;) {
        pollfd wait = channel.polled();
        poll_until({&wait, 1}, std::nullopt);
        const auto received = channel.receive(datagram);
        if (received == Channel::Received::nothing) continue;
        if (received == Channel::Received::closed) return fail(ExitCode::ok, "");  // the parent has said why
        if (const auto file = datagram.as<PassedKeyFile>()) loading.file(*file, std::move(datagram.descriptor));
        else if (const auto unopened = datagram.as<UnopenedKeyFile>()) loading.unopened(*unopened);
        else if (const auto end = datagram.as<KeyFilesEnd>()) return loading.finish(*end);
        else return fail(ExitCode::software, "something unexpected came instead of the key files");
    }
}

std::string what_was_lost(const Record& record) {
    switch (record.lost()) {
        case Record::Loss::none: return "the replay record was lost before an earlier start";
        case Record::Loss::missing: return "there is no replay record in the state folder";
        case Record::Loss::damaged: break;
    }
    return "the replay record in the state folder was damaged (" + record.damage() + ") and has been put aside";
}

// At each start until the window has passed: the first one behind a loss may not have got as far as this.
void say_what_was_lost(const Record& record, const Audit& audit, const Now& now, Seconds tolerance) {
    if (audit.was_damaged()) log::warning("the audit was damaged and has been put aside in the state folder");
    const auto left = record.closed_for(now.steady);
    if (left == Seconds{0}) return;
    log::warning(what_was_lost(record) + ": for " + std::to_string(left.count()) +
                 " s every knock is refused (record-lost), so that none can be played back; then all is normal. " +
                 "Grants of earlier runs have ended");
    if (audit.latest() > now.wall)
        log::warning("this machine's clock is behind the audit's latest line; knocks are refused (replayed) until " +
                     time_text(*audit.latest() + tolerance));
}

// A clock that was reset to some year in the past makes the daemon deaf: that shall not be found out by knocking.
void say_if_deaf(const Door& door, UnixTime now, Seconds tolerance) {
    const auto in_force = [&](const Generation& generation) { return is_in_force(generation, now, tolerance); };
    if (std::ranges::any_of(door.generations, in_force)) return;
    log::warning("no secret of the door is in force at " + time_text(now) +
                 ", so no knock is heard; is this machine's clock " +
                 "right? door.json says from when to when they are (not_before, not_after)");
}

}  // namespace

Result<std::string> enter_sandbox(const Descriptor& state, int control_socket, const Identity& identity) {
    auto folder = confine_to_folder(state, identity);
    if (!folder) return folder;
    if (const auto dropped = drop_everything(identity); !dropped) return tl::unexpected(dropped.error());
    if (const auto allowed = allow_gatekeeper_calls_only(control_socket); !allowed)
        return tl::unexpected(allowed.error());
    return folder;
}

Result<Settings> receive_settings(Channel& parent) {
    Datagram datagram;
    auto received = Channel::Received::nothing;
    while (received == Channel::Received::nothing) {
        pollfd wait{parent.descriptor(), POLLIN, 0};
        poll(&wait, 1, -1);
        received = parent.receive(datagram);
    }
    if (received == Channel::Received::closed) return fail(ExitCode::ok, "");  // the parent has said why
    const auto settings = datagram.as<GatekeeperSettings>();
    if (!settings) return fail(ExitCode::software, "something unexpected came instead of the settings");
    Limits limits{Seconds{settings->tolerance_s},
                  Seconds{settings->grant_default_s},
                  Seconds{settings->grant_maximum_s},
                  {},
                  Seconds{settings->flows_after_s}};
    if (settings->rotation_grace_s >= 0) limits.rotation_grace = Seconds{settings->rotation_grace_s};
    return Settings{limits, settings->rests};
}

Result<Decider> make_decider(const Limits& limits, const std::string& folder, const BootId& boot, Channel& channel,
                             KeyProblems& problems) {
    auto keys = receive_keys(channel);
    if (!keys) return tl::unexpected(keys.error());
    const Now now = read_clocks();
    problems.take_in(*keys, Keyring{}, now.steady);
    problems.log_news();
    auto audit = Audit::open(folder, now.wall);
    if (!audit) return tl::unexpected(audit.error());
    // The clock may be behind; then the audit knows of later knocks than it does.
    const Now known{std::max(now.wall, audit->latest().value_or(now.wall)), now.steady};
    auto record = Record::open(folder, keys->change.door->id, known, limits.tolerance, boot, limits.flows_after);
    if (!record) return tl::unexpected(record.error());
    say_what_was_lost(*record, *audit, now, limits.tolerance);
    record->prune(now.wall, limits.tolerance);  // what is stale is nobody's share
    say_if_deaf(*keys->change.door, now.wall, limits.tolerance);
    Decider decider(Verifier(std::move(keys->change)), std::move(*record), std::move(*audit), limits);
    decider.learn_uses();
    problems.check_all(decider.in_force());
    problems.log_news();
    return decider;
}

}  // namespace oneknock

#include "server/gatekeeper/control/commands.hpp"

#include <algorithm>
#include <ranges>
#include <utility>

#include "common/log.hpp"
#include "common/nearest_word.hpp"
#include "common/text.hpp"
#include "server/gatekeeper/control/answers.hpp"

namespace oneknock {

constexpr Instant longest_reload = Seconds{60};  // as oneknockctl waits
constexpr std::size_t most_reloads = 32;         // that are waited for
constexpr Rate lines_of_requests{1, 100};
constexpr std::size_t most_compared = 200;  // less than a millisecond, for which knocks wait

void ControlCommands::serve(Instant now) {
    socket_.serve(now, [this, now](Connection connection, std::string_view line) { asked(connection, line, now); });
}

void ControlCommands::asked(Connection connection, std::string_view line, Instant now) {
    const auto space = line.find(' ');
    const std::string_view word = line.substr(0, space);
    const std::string argument(space == std::string_view::npos ? "" : line.substr(space + 1));
    if (word == "status") {
        ask_for_report(connection);
    } else if (word == "grants") {
        socket_.answer(connection, grants_json(dependencies_.decider.record().grants().live(now), now));
    } else if (word == "revoke" && !argument.empty()) {
        revoke(connection, argument == "--all" ? "" : argument, now);
    } else if (word == "reload") {
        reload(connection, argument, now);
    } else if (word == "confirm") {
        TrialConfirmed confirmed;
        confirmed.id = connection;
        if (!dependencies_.parent.send(confirmed)) refuse(connection, "the firewall is busy; try again");
    } else {
        refuse(connection, "the daemon does not know this request; are oneknockctl and oneknockd of one version?");
    }
}

// reload [--strict] [CLIENT]
void ControlCommands::reload(Connection connection, std::string_view words, Instant now) {
    constexpr std::string_view strict = "--strict";
    ReloadWaiter waiter{connection, words.starts_with(strict), "", 0};
    if (waiter.strict) words.remove_prefix(strict.size());
    while (words.starts_with(' ')) words.remove_prefix(1);
    waiter.client = words;
    if (reload_waiters_.size() + settling_.size() >= most_reloads)
        return refuse(connection, "too many others wait for a reload; try again");
    ReloadRequest request;
    request.id = ++last_reload_request_;
    if (!dependencies_.parent.send(request)) return refuse(connection, "the firewall is busy; try again");
    reload_waiters_[request.id] = std::move(waiter);  // answered when the files have been read
    socket_.give_until(connection, now + longest_reload);
}

bool ControlCommands::may_log(Instant now) {
    if (!lines_.try_take(lines_of_requests, now)) {
        ++unlogged_;
        return false;
    }
    if (unlogged_ > 0)
        log::warning(std::to_string(std::exchange(unlogged_, 0)) +
                     " more lines about requests on the control socket were not logged");
    return true;
}

bool ControlCommands::is_strict(RequestId last_request) const {
    return std::any_of(reload_waiters_.begin(), reload_waiters_.upper_bound(last_request),
                       [](const auto& waiting) { return waiting.second.strict; });
}

void ControlCommands::ask_for_report(Connection connection) {
    ReportRequest request;
    request.id = connection;
    if (dependencies_.listener.send(request)) reports_asked_.insert(connection);
    else refuse(connection, "the listener is busy; try again");
}

bool ControlCommands::handle(const CaptureReport& report, Instant now) {
    if (reports_asked_.erase(report.id) == 0) return false;
    const Keyring& keyring = dependencies_.decider.verifier().keyring();
    const StatusFigures figures{keyring.door.name,
                                std::chrono::duration_cast<Seconds>(now - started_),
                                keyring.clients.size(),
                                dependencies_.decider.record().grants().live(now).size(),
                                foreign_,
                                lines_dropped_by_parent_ + report.dropped_lines + log::dropped()};
    socket_.answer(report.id, status_json(figures, report, dependencies_.decisions, dependencies_.times,
                                          dependencies_.problems, now));
    return true;
}

void ControlCommands::handle(const TrialReply& reply) {
    if (reply.was_on_trial) socket_.answer(reply.id, done_json());
    else
        refuse(reply.id,
               "there is nothing to confirm: the daemon was not started with --try, or it is confirmed already");
}

// Instead of a name that no client has.
std::string ControlCommands::meant_instead(const std::string& name) const {
    const auto& clients = dependencies_.decider.verifier().keyring().clients;
    if (clients.size() > most_compared) return "";
    std::vector<std::string> names;
    for (const Client& client : clients) names.push_back(client.name);
    return did_you_mean(name, names);
}

// Answers once the grants are closed. The keys are not touched.
void ControlCommands::revoke(Connection connection, const std::string& client, Instant now) {
    const auto count = dependencies_.grants.revoke(client, connection, now);
    if (count == 0 && !client.empty() && !dependencies_.decider.knows(client))
        return refuse(connection, "there is no client of that name, and no grant of one" + meant_instead(client));
    if (count > 0 || may_log(now))
        log::info("revoked " + counted(count, "grant") + (client.empty() ? "" : " of " + client));
    if (count == 0) socket_.answer(connection, closed_json(0));
}

void ControlCommands::handle(const GrantRequests::Revocation& revocation) {
    if (revocation.failed)
        refuse(revocation.waiter, "the firewall could not close all of the grants; see the daemon's log");
    else if (!revocation.recorded)
        refuse(
            revocation.waiter,
            counted(revocation.closed, "grant") +
                " closed, but the replay record could not be written: a crash of the daemon could bring back what has "
                "not run out by then; see the daemon's log, and the disk");
    else socket_.answer(revocation.waiter, closed_json(revocation.closed));
}

void ControlCommands::reloaded(const Result<void>& result, RequestId last_request, Instant now) {
    const std::string problem = result ? "" : "the key files were not taken in: " + result.error().message;
    const bool is_asked_for = !reload_waiters_.empty() && reload_waiters_.begin()->first <= last_request;
    if (!result && (!is_asked_for || may_log(now))) log::error(problem);
    bool is_awaited = false;
    while (!reload_waiters_.empty() && reload_waiters_.begin()->first <= last_request) {
        auto reloaded = reload_waiters_.extract(reload_waiters_.begin());
        if (!result) {
            refuse(reloaded.mapped().connection, problem);
            continue;
        }
        reloaded.mapped().failed_closes = dependencies_.grants.failed_closes();
        settling_.insert(std::move(reloaded));
        is_awaited = true;
    }
    if (is_awaited) settle(last_request);
}

void ControlCommands::settle(RequestId last_request) {
    SettleRequest request;
    request.id = last_request;
    dependencies_.parent.send(request, SIZE_MAX);  // as many as there are connections
}

void ControlCommands::handle(const Settled& settled, Instant now) {
    while (!settling_.empty() && settling_.begin()->first <= settled.id) {
        const ReloadWaiter waiter = settling_.extract(settling_.begin()).mapped();
        if (settled.lacks_services)
            refuse(waiter.connection, "the firewall has not taken in the door's services yet; see the daemon's log");
        else if (dependencies_.grants.failed_closes() != waiter.failed_closes)
            refuse(waiter.connection, "the firewall could not close all of the grants; see the daemon's log");
        else
            socket_.answer(waiter.connection, reloaded_json(dependencies_.decider.verifier().keyring(), waiter.client,
                                                            dependencies_.problems, now));
    }
}

void ControlCommands::refuse(Connection connection, const std::string& why) {
    socket_.answer(connection, error_json(why));
}

}  // namespace oneknock

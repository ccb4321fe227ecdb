#include "server/gatekeeper/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include <poll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/key_schedule.hpp"
#include "common/log.hpp"
#include "server/gatekeeper/answers.hpp"
#include "server/gatekeeper/books_plan.hpp"
#include "server/gatekeeper/control.hpp"
#include "server/gatekeeper/doorkeeper.hpp"
#include "server/gatekeeper/grant_desk.hpp"
#include "server/gatekeeper/key_loading.hpp"
#include "server/gatekeeper/opening.hpp"
#include "server/gatekeeper/tally.hpp"

namespace oneknock {
namespace {

constexpr std::size_t most_datagrams_a_turn = 256;  // of the listener: nothing it sends keeps the other rooms waiting
constexpr std::size_t hints_a_slice = 500;  // about half a millisecond

class Gatekeeper {
public:
    Gatekeeper(const DaemonConfig& config, Channel listener, Channel firewall, Descriptor control_socket, Descriptor wall_timer,
               Doorkeeper doorkeeper)
        : config_(config), listener_(std::move(listener)), firewall_(std::move(firewall)), control_(std::move(control_socket)),
          wall_timer_(std::move(wall_timer)), doorkeeper_(std::move(doorkeeper)),
          grants_(firewall_, [this](const auto& client, const auto& service) { return doorkeeper_.may_open(client, service); }) {}
    Gatekeeper(const Gatekeeper&) = delete;
    Gatekeeper& operator=(const Gatekeeper&) = delete;

    Exit run() {
        now_ = read_clocks();
        started_ = now_.steady;
        tell_span();
        prepare_hours();
        while (doorkeeper_.verifier().prepare(hints_a_slice)) {}
        tell_services();
        firewall_.send(Ready{});
        for (;;) {
            wait();
            now_ = read_clocks();
            if (const auto end = hear_listener()) return *end;
            if (const auto end = hear_firewall()) return *end;
            control_.serve(now_.steady, [this](auto connection, std::string_view line) { asked(connection, line); });
            on_wall_timer();
            prune_when_due();
            more_hints_ = doorkeeper_.verifier().prepare(hints_a_slice);
            listener_.flush();
            firewall_.flush();
        }
    }

private:
    // --- waiting and timers -------------------------------------------------------------------------------------

    void wait() {
        polled_.clear();
        for (const Channel* channel : {&listener_, &firewall_})
            polled_.push_back({channel->descriptor(), static_cast<short>(channel->wants_write() ? POLLIN | POLLOUT : POLLIN), 0});
        polled_.push_back({wall_timer_.get(), POLLIN, 0});
        control_.add_to(polled_);
        std::optional<Instant> due = prune_at_;
        if (const auto control = control_.next_due()) due = std::min(due.value_or(Instant::max()), *control);
        if (more_hints_) due = now_.steady;
        timespec timeout{};
        if (due) {
            const Instant left = std::max(Instant{0}, *due - read_clocks().steady);
            timeout = {static_cast<time_t>(left.count() / 1'000'000'000), static_cast<long>(left.count() % 1'000'000'000)};
        }
        ppoll(polled_.data(), polled_.size(), due ? &timeout : nullptr, nullptr);
    }

    // At the hour's edges, and whenever somebody sets the clock.
    void on_wall_timer() {
        std::uint64_t expirations = 0;
        if (read(wall_timer_.get(), &expirations, sizeof expirations) >= 0 || errno == ECANCELED) prepare_hours();
    }

    void prepare_hours() {
        const auto epochs = wanted_epochs(now_.wall, config_.tolerance);
        doorkeeper_.verifier().want(epochs);
        more_hints_ = true;
        for (const Epoch epoch : epochs) tell_books(epoch);
        // The listener may have dropped books of other hours, also those ahead of a clock that was set back.
        std::erase_if(told_, [&](const auto& told) { return std::ranges::find(epochs, Epoch{told.first}) == epochs.end(); });
        itimerspec when{};
        when.it_value.tv_sec = next_change(now_.wall, config_.tolerance).time_since_epoch().count();
        timerfd_settime(wall_timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, nullptr);
    }

    void tell_span() {
        DoorSpan span;
        for (const auto& [low, high] : door().span.ranges()) span.ranges[span.count++] = {low, high};
        listener_.send(span);
    }

    void tell_services() {
        DoorServices services;
        for (const auto& [name, service] : door().services) services.services[services.count++] = service;
        firewall_.send(services);
    }

    void tell_books(Epoch epoch) {
        for (const Generation& generation : door().generations) {
            if (generation.not_after && now_.wall > *generation.not_after + config_.tolerance) continue;
            if (!told_.insert({epoch.value, generation.number}).second) continue;
            const Secret32 secret = codebook_seed(generation.secret, door().id, epoch);
            BookSeed seed;
            seed.epoch = epoch.value;
            seed.door_generation = generation.number;
            const UnixTime from = start_of(epoch) - config_.tolerance;
            const UnixTime until = start_of(Epoch{epoch.value + 1}) + config_.tolerance;
            seed.live_from = std::max(from, generation.not_before - config_.tolerance).time_since_epoch().count();
            seed.live_until = (generation.not_after ? std::min(until, *generation.not_after) : until).time_since_epoch().count();
            std::ranges::copy(secret.bytes(), seed.seed.begin());
            listener_.send(seed);
            wipe(&seed, sizeof seed);
        }
    }

    void prune_when_due() {
        if (!prune_at_ || now_.steady < *prune_at_) return;
        if (const auto pruned = doorkeeper_.record().prune(now_.wall, config_.tolerance); !pruned) log::warning(pruned.error().message);
        prune_at_.reset();
        if (!doorkeeper_.record().is_empty()) plan_pruning();
    }

    void plan_pruning() {
        if (!prune_at_) prune_at_ = now_.steady + config_.tolerance + Seconds{1};
    }

    // --- the listener -------------------------------------------------------------------------------------------

    std::optional<Exit> hear_listener() {
        candidates_.clear();
        tickets_.clear();
        for (std::size_t i = 0; i < most_datagrams_a_turn; ++i) {
            const auto received = listener_.receive(datagram_);
            if (received == Channel::Received::nothing) break;
            if (received == Channel::Received::closed) {
                log::error("the listener has ended");
                return Exit::software;
            }
            if (const auto candidate = datagram_.as<Candidate>(); candidate && is_well_formed(*candidate)) {
                candidates_.push_back(*candidate);
                tickets_.push_back(candidate->ticket);
            } else if (const auto report = datagram_.as<CaptureReport>(); report && reports_asked_.erase(report->ticket) > 0) {
                answer_status(*report);
            } else {
                log::error("gatekeeper: the listener sent something unexpected");
                return Exit::software;
            }
        }
        if (!candidates_.empty()) judge();
        return std::nullopt;
    }

    static bool is_well_formed(const Candidate& candidate) {
        const auto known = [](Family family) { return family == Family::ipv4 || family == Family::ipv6; };
        return known(candidate.source.family) && candidate.message.family == candidate.source.family;
    }

    void judge() {
        const auto decisions = doorkeeper_.decide(candidates_, now_);
        plan_pruning();
        for (std::size_t i = 0; i < decisions.size(); ++i) {
            WordVerdict verdict;
            verdict.ticket = tickets_[i];
            verdict.verified = decisions[i].verified;
            listener_.send(verdict);
            if (decisions[i].refused) {
                tally_.refused(decisions[i], *decisions[i].refused, now_.steady);
                if (*decisions[i].refused == Reason::record_failed) log::error(doorkeeper_.record_problem());
            } else if (!grants_.request(decisions[i])) {
                tally_.refused(decisions[i], Reason::firewall_failed, now_.steady);
            }
        }
    }

    // --- the firewall -------------------------------------------------------------------------------------------

    std::optional<Exit> hear_firewall() {
        for (;;) {
            switch (firewall_.receive(datagram_)) {
                case Channel::Received::nothing: return std::nullopt;
                case Channel::Received::closed: return Exit::ok;
                case Channel::Received::datagram: break;
            }
            if (const auto reply = datagram_.as<GrantReply>()) take_reply(*reply);
            else if (const auto adopted = datagram_.as<AdoptedGrant>()) adopt(*adopted);
            else if (const auto file = datagram_.as<PassedKeyFile>()) loading_.file(*file, std::move(datagram_.descriptor));
            else if (const auto end = datagram_.as<KeyFilesEnd>()) answer_reload(reload(*end));
            else if (const auto trial = datagram_.as<TrialReply>()) answer_confirm(*trial);
            else {
                log::error("gatekeeper: the firewall sent something unexpected");
                return Exit::software;
            }
        }
    }

    void take_reply(const GrantReply& reply) {
        const auto knock = grants_.answer_to_knock(reply, now_.steady);
        if (!knock) return answer_revoke(grants_.answer_to_close(reply));
        if (reply.error == 0) return tally_.accepted(*knock);
        tally_.refused(*knock, Reason::firewall_failed, now_.steady);
        log::error("the firewall refused to change " + knock->request.service().text() + " for " + knock->address.text() + ": " +
                   std::strerror(reply.error));
    }

    void adopt(const AdoptedGrant& adopted) {
        const auto holder = doorkeeper_.record().holder_of(adopted.service, adopted.address, now_.wall);
        const Instant deadline = now_.steady + Seconds{adopted.remaining_s};
        grants_.adopt({holder.value_or(""), adopted.service, adopted.address, deadline}, now_.steady);
    }

    // All or nothing.
    Result<void> reload(const KeyFilesEnd& end) {
        auto keyring = std::exchange(loading_, {}).finish(end.count);
        if (keyring && (keyring->door.id != door().id || keyring->door.span.text() != door().span.text() ||
                        keyring->door.services != door().services))
            keyring = fail(Exit::config, "door.json now has another id, span or other services; restart oneknockd for that");
        if (!keyring) return tl::unexpected(keyring.error());
        const auto count = keyring->clients.size();
        try {
            doorkeeper_.replace_keys(std::move(*keyring));
        } catch (const LockedMemoryError& error) {  // the old and the new keys are in memory together
            return fail(Exit::permission, error.what());
        }
        told_.clear();
        prepare_hours();
        while (doorkeeper_.verifier().prepare(hints_a_slice)) {}
        if (const auto closed = grants_.close_what_is_no_longer_allowed(now_.steady); closed > 0)
            log::info("closed " + std::to_string(closed) + " grants that are no longer allowed");
        log::info("reloaded: " + std::to_string(count) + " clients");
        return {};
    }

    void answer_reload(const Result<void>& reloaded) {
        const std::string problem = reloaded ? "" : "reload refused, the keys in force stay in force: " + reloaded.error().message;
        if (!reloaded) log::error(problem);
        for (const auto connection : std::exchange(reload_waiters_, {})) reloaded ? reply_done(connection) : reply_error(connection, problem);
    }

    void answer_confirm(const TrialReply& reply) {
        if (reply.was_on_trial) reply_done(reply.ticket);
        else reply_error(reply.ticket, "there is nothing to confirm: the daemon was not started with --try, or it is confirmed already");
    }

    // --- the control socket -------------------------------------------------------------------------------------

    void asked(ControlSocket::Connection connection, std::string_view line) {
        const auto space = line.find(' ');
        const std::string_view word = line.substr(0, space);
        const std::string argument(space == std::string_view::npos ? "" : line.substr(space + 1));
        if (word == "status") {
            ReportRequest request;
            request.ticket = connection;
            if (listener_.send(request)) reports_asked_.insert(connection);
            else reply_error(connection, "the listener is busy; try again");
        } else if (word == "grants") {
            control_.answer(connection, grants_json(grants_.live(now_.steady), now_.steady));
        } else if (word == "revoke" && !argument.empty()) {
            revoke(connection, argument == "--all" ? "" : argument);
        } else if (word == "reload") {
            firewall_.send(ReloadRequest{});
            reload_waiters_.push_back(connection);  // answered when the files have been read
        } else if (word == "confirm") {
            TrialConfirmed confirmed;
            confirmed.ticket = connection;
            firewall_.send(confirmed);
        } else {
            reply_error(connection, "the daemon does not know this request; are oneknockctl and oneknockd of one version?");
        }
    }

    void reply_done(ControlSocket::Connection connection) { control_.answer(connection, done_json()); }
    void reply_error(ControlSocket::Connection connection, const std::string& what) {
        control_.answer(connection, error_json(what));
    }

    void answer_status(const CaptureReport& report) {
        const StatusFigures figures{door().name, std::chrono::duration_cast<Seconds>(now_.steady - started_),
                                    doorkeeper_.verifier().keyring().clients.size(), grants_.count(now_.steady)};
        control_.answer(report.ticket, status_json(figures, report, tally_));
        control_.serve(now_.steady, [this](auto connection, std::string_view line) { asked(connection, line); });
    }

    // Answers once the grants are closed. The keys are not touched.
    void revoke(ControlSocket::Connection connection, const std::string& client) {
        const auto count = grants_.revoke(client, connection, now_.steady);
        if (count == 0 && !client.empty() && !doorkeeper_.knows(client))
            return reply_error(connection, "there is no client of that name, and no grant of one");
        log::info("revoked " + std::to_string(count) + " grants" + (client.empty() ? "" : " of " + client));
        if (count == 0) control_.answer(connection, closed_json(0));
    }

    void answer_revoke(const std::optional<GrantDesk::Revocation>& revocation) {
        if (!revocation) return;
        if (revocation->failed) reply_error(revocation->waiter, "the firewall could not close all of the grants; see the daemon's log");
        else control_.answer(revocation->waiter, closed_json(revocation->closed));
    }

    [[nodiscard]] const Door& door() { return doorkeeper_.verifier().keyring().door; }

    const DaemonConfig& config_;
    Channel listener_, firewall_;
    ControlSocket control_;
    Descriptor wall_timer_;
    Doorkeeper doorkeeper_;
    GrantDesk grants_;
    Tally tally_;
    KeyLoading loading_;

    Now now_;
    Instant started_{};
    std::optional<Instant> prune_at_;
    bool more_hints_ = false;
    std::set<std::pair<std::uint64_t, std::uint32_t>> told_;  // books the listener has: hour and generation

    std::set<Ticket> reports_asked_;  // of the listener, for connections to the control socket
    std::vector<ControlSocket::Connection> reload_waiters_;

    Datagram datagram_;
    std::vector<Candidate> candidates_;
    std::vector<Ticket> tickets_;
    std::vector<pollfd> polled_;
};

}  // namespace

Exit run_gatekeeper(const DaemonConfig& config, const Identity& identity, Channel listener, Channel firewall,
                    Descriptor control_socket) {
    enter_room("okd-gatekeeper", true);
    umask(077);
    raise_locked_memory_limit();
    const auto give_up = [](const Error& error) {
        if (!error.message.empty()) log::error(error.message);
        return error.exit;
    };
    Descriptor wall_timer(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    const auto folder = confine_to_folder(config.state, identity);
    if (!folder) return give_up(folder.error());
    if (const auto dropped = drop_everything(identity); !dropped) return give_up(dropped.error());
    if (const auto denied = deny_network_and_programs(); !denied) return give_up(denied.error());
    auto doorkeeper = open_doorkeeper(config, *folder, firewall);
    if (!doorkeeper) return give_up(doorkeeper.error());
    Gatekeeper gatekeeper(config, std::move(listener), std::move(firewall), std::move(control_socket), std::move(wall_timer),
                          std::move(*doorkeeper));
    return gatekeeper.run();
}

}  // namespace oneknock

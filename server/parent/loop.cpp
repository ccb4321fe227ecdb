#include "server/parent/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <tuple>
#include <utility>

#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.hpp"
#include "common/poll.hpp"
#include "server/parent/foreign_elements.hpp"
#include "server/parent/key_reload.hpp"
#include "server/parent/scheduling.hpp"
#include "server/parent/service_change.hpp"

namespace oneknock {
namespace {

using std::chrono::milliseconds;

constexpr Instant repair_delay = milliseconds{20};      // to take one foreign transaction's messages together
constexpr Instant repair_interval = milliseconds{150};  // between repairs, should two programs fight over the table
constexpr milliseconds shortest_grant{100};
constexpr Instant noticeable = milliseconds{250};  // that an element lasts too long
constexpr int most_tries = 3;
constexpr int most_requests_a_turn = 64;  // so that signals and timers get their turn

// A moment before the end of somebody else's: let it end by the kernel's clock.
milliseconds not_too_short(milliseconds duration) {
    return duration == milliseconds{0} ? duration : std::max(duration, shortest_grant);
}

class Loop {
public:
    explicit Loop(ParentParts parts)
        : parts_(parts),
          now_(read_clocks().steady),
          reload_(parts.keys, parts.watch, parts.passing, now_, rest_between_slices(parts.config.scheduling)) {
        if (parts_.trial) trial_ends_ = now_ + *parts_.trial;
        if (parts_.manager.life_interval()) life_asked_at_ = now_;
        if (parts_.firewall) tell_foreign_elements();
    }

    // The trial ends with the daemon, whatever ended it: whoever tries the guard out must not be locked out by a fault.
    ExitCode run() {
        const ExitCode exit = serve();
        if (trial_ends_) end_trial();
        else if (exit != ExitCode::ok) log::error("stopping; the ports stay as they are");
        return exit;
    }

private:
    ExitCode serve() {
        for (;;) {
            wait();
            now_ = read_clocks().steady;
            if (const auto end = handle_gatekeeper()) return *end;
            if (const auto end = handle_keys()) return *end;
            if (const auto end = handle_signals()) return *end;
            if (parts_.firewall && parts_.firewall->on_watch_readable()) plan_repair();
            if (is_due(repair_at_)) repair();
            if (is_due(life_asked_at_)) ask_for_life_sign();
            reload_.turn(now_);
            if (is_due(trial_ends_)) return ExitCode::try_later;
            tell_dropped_lines();
            parts_.gatekeeper.flush();
            parts_.keys.flush();
        }
    }

    void wait() {
        pollfd polled[] = {parts_.gatekeeper.polled(),
                           parts_.keys.polled(reload_.waits_for_room()),
                           {parts_.signals, POLLIN, 0},
                           {parts_.watch.descriptor(), POLLIN, 0},
                           {parts_.firewall ? parts_.firewall->watch_descriptor() : -1, POLLIN, 0}};
        poll_until(polled,
                   earliest(earliest(repair_at_, trial_ends_), earliest(life_asked_at_, reload_.next_due(now_))));
    }

    void plan_repair() {
        if (!repair_at_) repair_at_ = std::max(now_ + repair_delay, repaired_ + repair_interval);
    }
    bool is_due(std::optional<Instant>& timer) const { return timer && *timer <= now_; }

    std::optional<ExitCode> handle_gatekeeper() {
        Datagram datagram;
        for (int i = 0; i < most_requests_a_turn; ++i) {
            switch (parts_.gatekeeper.receive(datagram)) {
                case Channel::Received::nothing: return std::nullopt;
                case Channel::Received::closed: return handle_closed_channel();
                case Channel::Received::datagram: break;
            }
            if (const auto request = datagram.as<GrantRequest>()) grant(*request);
            else if (const auto confirmed = datagram.as<TrialConfirmed>()) confirm(confirmed->id);
            else if (datagram.as<LifeSign>()) parts_.manager.tell_alive();
            else if (const auto door = datagram.as<DoorServices>()) {
                if (!change_services(*door)) return ExitCode::software;
            } else if (const auto asked = datagram.as<ReloadRequest>()) {
                reload_.ask(asked->id, now_);
            } else if (const auto settle = datagram.as<SettleRequest>()) {
                tell_settled(settle->id);
            } else {
                log::error("parent: the gatekeeper sent something unexpected");
                return ExitCode::software;
            }
        }
        return std::nullopt;
    }

    std::optional<ExitCode> handle_keys() {
        Datagram datagram;
        switch (parts_.keys.receive(datagram)) {
            case Channel::Received::nothing: return std::nullopt;
            case Channel::Received::closed: return handle_closed_channel();
            case Channel::Received::datagram: break;
        }
        const auto answer = datagram.as<KeysAnswer>();
        if (answer && reload_.on_answer(answer->taken)) return std::nullopt;
        log::error("parent: the gatekeeper sent something unexpected about key files");
        return ExitCode::software;
    }

    void grant(const GrantRequest& request) {
        GrantReply reply;
        reply.id = request.id;
        reply.error = change(request);
        reply.done_ns = read_clocks().steady.count();
        parts_.gatekeeper.send(reply, GrantTable::capacity);
    }

    // What kinds of values leave open is checked as well: the gatekeeper is another process.
    int change(const GrantRequest& request) {
        const milliseconds duration{request.duration_ms}, flows{request.flows_ms};
        const Service service = request.service;
        const bool opens = request.operation == Operation::open;
        const DaemonConfig& config = parts_.config;
        if (opens && duration > config.grant_maximum) return EINVAL;
        if (opens && flows > config.grant_maximum + config.firewall.udp_maximum) return EINVAL;
        if (!parts_.firewall) return 0;
        return opens ? open(service, request) : close(service, request.address);
    }

    // Of a service that the door has no more nothing is open, once the table has been built without it.
    int close(const Service& service, const Address& address) {
        if (!lacks_services_ && !parts_.firewall->is_ours(service)) return 0;
        return parts_.firewall->close_grant(service, address, now_);
    }

    // Until the end that the gatekeeper knows of, however long the request has waited here, or in the kernel for
    // another program's transaction: a grant that outlived it would be listed nowhere, and nobody could revoke it.
    int open(const Service& service, const GrantRequest& request) {
        const Instant asked = std::clamp(Instant{request.asked_ns}, Instant{0}, now_);
        for (int tries = 1;; ++tries) {
            const Instant now = read_clocks().steady;
            const auto late = std::chrono::floor<milliseconds>(now - asked);
            const auto left = [&](std::uint32_t time_ms) {
                return not_too_short(std::max(milliseconds{time_ms} - late, milliseconds{0}));
            };
            const milliseconds duration = left(request.duration_ms), flows = left(request.flows_ms);
            if (duration == flows && flows == milliseconds{0})
                return parts_.firewall->close_grant(service, request.address, now);
            const int error = parts_.firewall->open_grant(service, request.address, duration, now, flows);
            if (error != 0 || tries == most_tries || read_clocks().steady - now < noticeable) return error;
        }
    }

    // False: the administrator has not changed the door's file, so the gatekeeper has no reason to.
    bool change_services(const DoorServices& door) {
        if (!parts_.passing.may_tell_services()) {
            log::error("parent: the gatekeeper told of other services, but the door's file has not changed");
            return false;
        }
        if (!parts_.firewall) return true;
        std::vector<Service> services(door.services, door.services + door.count);
        const ServiceChange change(parts_.firewall->services(), services);
        const auto changed = parts_.firewall->change_services(std::move(services), now_);
        lacks_services_ = !changed;
        if (!changed) {
            log::error(changed.error().message);
            repair_at_ = now_ + Seconds{1};
        }
        change.tell(parts_.config.firewall.mode, changed.has_value());
        tell_status();
        return true;
    }

    // What came before has been done by now.
    void tell_settled(RequestId id) {
        Settled settled;
        settled.id = id;
        settled.lacks_services = lacks_services_;
        parts_.gatekeeper.send(settled, GrantTable::capacity);
    }

    void confirm(RequestId id) {
        TrialReply reply;
        reply.id = id;
        reply.was_on_trial = trial_ends_.has_value();
        if (trial_ends_) log::info("confirmed: the guard stays");
        if (trial_ends_) parts_.manager.tell_confirmed();
        trial_ends_.reset();
        tell_status();
        parts_.gatekeeper.send(reply);
    }

    // Removed first, told of afterwards: nothing that may happen to the log keeps anybody locked out.
    void end_trial() {
        auto removed = parts_.firewall ? parts_.firewall->remove() : Result<bool>{};
        if (!removed) removed = parts_.firewall->remove();  // the kernel may have been too busy to answer
        if (is_due(trial_ends_)) log::warning("not confirmed within " + duration_text(*parts_.trial));
        if (removed) log::warning("the guard on trial has been removed (oneknockctl confirm keeps it)");
        else log::error(removed.error().message);
    }

    void repair() {
        repair_at_.reset();
        repaired_ = now_;
        const auto repaired = parts_.firewall->repair(now_);
        if (!repaired) {
            log::error(repaired.error().message);
            repair_at_ = now_ + Seconds{1};
            tell_foreign_elements();
            return;
        }
        lacks_services_ = false;
        if (*repaired)
            log::warning("another program changed or flushed our firewall table; it is rebuilt, with all grants");
        tell_foreign_elements();
    }

    void tell_status() const {
        if (parts_.firewall)
            parts_.manager.tell_status(
                status_text(parts_.config.firewall.mode, parts_.firewall->services(), trial_ends_.has_value()));
    }

    // The listener answers the gatekeeper, and the gatekeeper us: whichever is stuck, the service manager hears
    // nothing.
    void ask_for_life_sign() {
        parts_.gatekeeper.send(LifeRequest{});
        life_asked_at_ = now_ + *parts_.manager.life_interval();
    }

    void tell_dropped_lines() {
        if (told_dropped_ == log::dropped()) return;
        DroppedLines lines;
        told_dropped_ = lines.count = log::dropped();
        parts_.gatekeeper.send(lines);
    }

    void tell_foreign_elements() {
        if (parts_.config.firewall.mode == FirewallMode::set)
            parts_.gatekeeper.send(told_of(parts_.firewall->foreign_elements()));
    }

    std::optional<ExitCode> handle_signals() {
        signalfd_siginfo info{};
        while (::read(parts_.signals, &info, sizeof info) == sizeof info) {
            if (std::ranges::find(signals_that_stop, static_cast<int>(info.ssi_signo)) != signals_that_stop.end()) {
                if (trial_ends_) return ExitCode::try_later;
                parts_.manager.tell_stopping();
                log::info("stopping; the firewall's table and its grants stay (oneknockd --remove takes them away)");
                return ExitCode::ok;
            }
            if (info.ssi_signo == SIGHUP) reload_.ask(now_);
            if (info.ssi_signo == SIGCHLD)
                if (const auto end = handle_ended_room()) return end;
        }
        return std::nullopt;
    }

    // Nothing if none did: a room that was stopped or goes on (Ctrl-Z and fg reach all of us) also makes SIGCHLD.
    std::optional<ExitCode> handle_ended_room() const {
        int status = 0;
        pid_t pid = bury(status);
        if (pid <= 0) return std::nullopt;
        // One that exits by itself does so because another one is gone: that one's end is what to tell.
        for (int i = 0; i < 100 && WIFEXITED(status) && WEXITSTATUS(status) == 0; ++i) {
            int other_status = 0;
            const pid_t other = bury(other_status);
            if (other < 0) break;
            if (other > 0) std::tie(pid, status) = std::pair{other, other_status};
            else poll(nullptr, 0, 10);
        }
        log::error(std::string("the ") + (pid == parts_.rooms.listener ? "listener" : "gatekeeper") + " process " +
                   how_it_ended(status));
        return exit_code_after(status);
    }

    // A room that has ended; 0 or less if none has. Whoever executed us may have had other children, and all orphans of
    // a container come to its process 1: their ends are none of our business.
    pid_t bury(int& status) const {
        for (;;) {
            const pid_t pid = waitpid(-1, &status, WNOHANG);
            if (pid <= 0 || pid == parts_.rooms.listener || pid == parts_.rooms.gatekeeper) return pid;
        }
    }

    ExitCode handle_closed_channel() const {
        poll(nullptr, 0, 50);  // the end of its channel is seen before the end of the process
        if (const auto end = handle_ended_room()) return *end;
        log::error("the gatekeeper does not listen any more");
        return ExitCode::software;
    }

    ParentParts parts_;
    Instant now_{};
    KeyReload reload_;
    std::optional<Instant> repair_at_, trial_ends_, life_asked_at_;
    bool lacks_services_ = false;  // the kernel's table has not got them all yet
    Instant repaired_{};
    std::uint64_t told_dropped_ = 0;
};

}  // namespace

ExitCode run_parent(ParentParts loop) { return Loop(loop).run(); }

}  // namespace oneknock

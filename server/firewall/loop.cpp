#include "server/firewall/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.hpp"

namespace oneknock {
namespace {

using std::chrono::milliseconds;

constexpr Instant repair_delay = milliseconds{20};     // to take one foreign transaction's messages together
constexpr Instant repair_interval = milliseconds{150};  // between repairs, should two programs fight over the table
constexpr Instant reload_delay = milliseconds{200};     // to take one command's files together



class Loop {
public:
    explicit Loop(FirewallLoop parts) : p_(parts) {
        now_ = read_clocks().steady;
        if (p_.trial) trial_ends_ = now_ + *p_.trial;
    }

    Exit run() {
        for (;;) {
            wait();
            now_ = read_clocks().steady;
            if (const auto end = hear_gatekeeper()) return *end;
            if (const auto end = hear_signals()) return *end;
            if (p_.firewall && p_.firewall->on_watch_readable()) plan(repair_at_, repair_delay);
            if (drained(p_.keys_watch)) plan(reload_at_, reload_delay);
            if (is_due(repair_at_)) repair();
            if (is_due(reload_at_)) reload();
            if (is_due(trial_ends_)) return end_trial("not confirmed within " + duration_text(*p_.trial));
            p_.gatekeeper.flush();
        }
    }

private:
    void wait() {
        pollfd polled[] = {
            {p_.gatekeeper.descriptor(), static_cast<short>(p_.gatekeeper.wants_write() ? POLLIN | POLLOUT : POLLIN), 0},
            {p_.signals, POLLIN, 0},
            {p_.keys_watch, POLLIN, 0},
            {p_.firewall ? p_.firewall->watch_descriptor() : -1, POLLIN, 0}};
        std::optional<Instant> due;
        for (const auto& timer : {repair_at_, reload_at_, trial_ends_})
            if (timer) due = std::min(due.value_or(Instant::max()), *timer);
        timespec timeout{};
        if (due) {
            const Instant left = std::max(Instant{0}, *due - read_clocks().steady);
            timeout = {static_cast<time_t>(left.count() / 1'000'000'000), static_cast<long>(left.count() % 1'000'000'000)};
        }
        ppoll(polled, std::size(polled), due ? &timeout : nullptr, nullptr);
    }

    void plan(std::optional<Instant>& timer, Instant delay) {
        if (!timer) timer = std::max(now_ + delay, &timer == &repair_at_ ? repaired_ + repair_interval : Instant{0});
    }
    bool is_due(std::optional<Instant>& timer) const { return timer && *timer <= now_; }

    static bool drained(int fd) {
        char buffer[4096];
        bool any = false;
        while (::read(fd, buffer, sizeof buffer) > 0) any = true;
        return any;
    }

    std::optional<Exit> hear_gatekeeper() {
        Datagram datagram;
        for (;;) {
            switch (p_.gatekeeper.receive(datagram)) {
                case Channel::Received::nothing: return std::nullopt;
                case Channel::Received::closed: return why_a_room_ended();
                case Channel::Received::datagram: break;
            }
            if (const auto request = datagram.as<GrantRequest>()) grant(*request);
            else if (const auto confirmed = datagram.as<TrialConfirmed>()) confirm(confirmed->ticket);
            else if (datagram.as<ReloadRequest>()) reload_at_ = now_;
            else {
                log::error("firewall: the gatekeeper sent something unexpected");
                return Exit::software;
            }
        }
    }

    void grant(const GrantRequest& request) {
        GrantReply reply;
        reply.ticket = request.ticket;
        reply.error = change(request);
        p_.gatekeeper.send(reply, GrantTable::capacity);
    }

    // Everything in the request is checked again: the gatekeeper is another room.
    int change(const GrantRequest& request) {
        const Seconds duration{request.duration_s};
        const bool opens = request.operation == Operation::open;
        if (!opens && request.operation != Operation::close) return EINVAL;
        if (request.address.family != Family::ipv4 && request.address.family != Family::ipv6) return EINVAL;
        if (opens && (duration < Seconds{1} || duration > p_.config.grant_maximum)) return EINVAL;
        if (!p_.firewall) {
            log::info("dry run: would " + std::string(opens ? "open " : "close ") + request.service.text() + " for " + request.address.text());
            return 0;
        }
        return opens ? p_.firewall->open_grant(request.service, request.address, duration, now_)
                     : p_.firewall->close_grant(request.service, request.address, now_);
    }

    void confirm(Ticket ticket) {
        TrialReply reply;
        reply.ticket = ticket;
        reply.was_on_trial = trial_ends_.has_value();
        if (trial_ends_) log::info("confirmed: the guard stays");
        trial_ends_.reset();
        p_.gatekeeper.send(reply);
    }

    Exit end_trial(const std::string& why) {
        log::warning(why + ": the guard is removed (oneknockctl confirm keeps it)");
        if (p_.firewall)
            if (const auto removed = p_.firewall->remove(); !removed) log::error(removed.error().message);
        return Exit::try_later;
    }

    void repair() {
        repair_at_.reset();
        repaired_ = now_;
        const auto repaired = p_.firewall->repair(now_);
        if (!repaired) {
            log::error(repaired.error().message);
            repair_at_ = now_ + Seconds{1};
        } else if (*repaired) {
            log::warning("another program changed or flushed our firewall table; it is rebuilt, with all grants");
        }
    }

    void reload() {
        reload_at_.reset();
        if (const auto passed = pass_keys(p_.config, p_.gatekeeper); !passed)
            log::error("reload refused, the keys in force stay in force: " + passed.error().message);
    }

    std::optional<Exit> hear_signals() {
        signalfd_siginfo info{};
        while (::read(p_.signals, &info, sizeof info) == sizeof info) {
            if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
                if (trial_ends_) return end_trial("stopped before it was confirmed");
                log::info("stopping; the firewall's table and its grants stay (oneknockd --remove takes them away)");
                return Exit::ok;
            }
            if (info.ssi_signo == SIGHUP) reload_at_ = now_;
            if (info.ssi_signo == SIGCHLD) return why_a_room_ended();
        }
        return std::nullopt;
    }

    static Exit why_a_room_ended() {
        int status = 0;
        poll(nullptr, 0, 50);  // the end of its channel is seen before the end of the process
        if (waitpid(-1, &status, WNOHANG) > 0 && WIFSIGNALED(status))
            log::error("a room was ended by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) +
                       "); stopping, the ports stay as they are");
        else log::error("a room has ended; stopping, the ports stay as they are");
        return Exit::software;
    }

    FirewallLoop p_;
    Instant now_{};
    std::optional<Instant> repair_at_, reload_at_, trial_ends_;
    Instant repaired_{};
};

}  // namespace

Exit run_firewall(FirewallLoop loop) { return Loop(loop).run(); }

}  // namespace oneknock

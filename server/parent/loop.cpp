#include "server/parent/loop.hpp"

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

    // The trial ends with the daemon, whatever ended it: whoever tries the guard out must not be locked out by a fault.
    Exit run() {
        const Exit exit = serve();
        if (trial_ends_) remove_guard();
        else if (exit != Exit::ok) log::error("stopping; the ports stay as they are");
        return exit;
    }

private:
    Exit serve() {
        for (;;) {
            wait();
            now_ = read_clocks().steady;
            if (const auto end = hear_gatekeeper()) return *end;
            if (const auto end = hear_about_keys()) return *end;
            if (const auto end = hear_signals()) return *end;
            if (p_.firewall && p_.firewall->on_watch_readable()) plan(repair_at_, repair_delay);
            if (p_.watch.changed()) plan(reload_at_, reload_delay);
            if (is_due(repair_at_)) repair();
            if (is_due(reload_at_) && p_.passing.needs() == KeyPassing::Needs::nothing) begin_reload();
            go_on_with_reload();
            if (is_due(trial_ends_)) {
                log::warning("not confirmed within " + duration_text(*p_.trial));
                return Exit::try_later;
            }
            p_.gatekeeper.flush();
            p_.keys.flush();
        }
    }

    void wait() {
        const auto needs = p_.passing.needs();
        const auto events = [](bool wants_room) { return static_cast<short>(wants_room ? POLLIN | POLLOUT : POLLIN); };
        pollfd polled[] = {
            {p_.gatekeeper.descriptor(), events(p_.gatekeeper.wants_write()), 0},
            {p_.keys.descriptor(), events(p_.keys.wants_write() || needs == KeyPassing::Needs::room), 0},
            {p_.signals, POLLIN, 0},
            {p_.watch.descriptor(), POLLIN, 0},
            {p_.firewall ? p_.firewall->watch_descriptor() : -1, POLLIN, 0}};
        std::optional<Instant> due;
        for (const auto& timer : {repair_at_, needs == KeyPassing::Needs::nothing ? reload_at_ : std::nullopt, trial_ends_})
            if (timer) due = std::min(due.value_or(Instant::max()), *timer);
        if (needs == KeyPassing::Needs::a_turn) due = now_;
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

    std::optional<Exit> hear_gatekeeper() {
        Datagram datagram;
        for (;;) {
            switch (p_.gatekeeper.receive(datagram)) {
                case Channel::Received::nothing: return std::nullopt;
                case Channel::Received::closed: return the_gatekeeper_ended();
                case Channel::Received::datagram: break;
            }
            if (const auto request = datagram.as<GrantRequest>()) grant(*request);
            else if (const auto confirmed = datagram.as<TrialConfirmed>()) confirm(confirmed->ticket);
            else if (const auto asked = datagram.as<ReloadRequest>()) {
                last_reload_request_ = asked->ticket;
                reload_at_ = now_;
            }
            else {
                log::error("firewall: the gatekeeper sent something unexpected");
                return Exit::software;
            }
        }
    }

    std::optional<Exit> hear_about_keys() {
        Datagram datagram;
        switch (p_.keys.receive(datagram)) {
            case Channel::Received::nothing: return std::nullopt;
            case Channel::Received::closed: return the_gatekeeper_ended();
            case Channel::Received::datagram: break;
        }
        const auto answer = datagram.as<KeysAnswer>();
        if (!answer || p_.passing.needs() != KeyPassing::Needs::the_answer) {
            log::error("firewall: the gatekeeper sent something unexpected about key files");
            return Exit::software;
        }
        p_.passing.answered(answer->taken);
        return std::nullopt;
    }

    void grant(const GrantRequest& request) {
        GrantReply reply;
        reply.ticket = request.ticket;
        reply.error = change(request);
        reply.done_ns = read_clocks().steady.count();
        p_.gatekeeper.send(reply, GrantTable::capacity);
    }

    // Everything in the request is checked again: the gatekeeper is another room.
    int change(const GrantRequest& request) {
        const Seconds duration{request.duration_s};
        const bool opens = request.operation == Operation::open;
        if (!opens && request.operation != Operation::close) return EINVAL;
        if (!is_whole(request.address)) return EINVAL;
        if (opens && (duration < Seconds{1} || duration > p_.config.grant_maximum)) return EINVAL;
        if (!p_.firewall) {
            log::info("dry run: would " + std::string(opens ? "open " : "close ") + request.service.text() + " for " + request.address.text());
            return 0;
        }
        return opens ? p_.firewall->open_grant(request.service, request.address, duration, now_)
                     : p_.firewall->close_grant(request.service, request.address, now_);
    }

    // An address that differs from another one in bytes that do not count would be two grants here and one in the kernel.
    static bool is_whole(const Address& address) {
        const bool known = address.family == Family::ipv4 || address.family == Family::ipv6;
        return known && Address::from_bytes(address.family, address.span()) == address;
    }

    void confirm(Ticket ticket) {
        TrialReply reply;
        reply.ticket = ticket;
        reply.was_on_trial = trial_ends_.has_value();
        if (trial_ends_) log::info("confirmed: the guard stays");
        trial_ends_.reset();
        p_.gatekeeper.send(reply);
    }

    void remove_guard() {
        log::warning("the guard on trial is removed (oneknockctl confirm keeps it)");
        if (p_.firewall)
            if (const auto removed = p_.firewall->remove(); !removed) log::error(removed.error().message);
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

    void begin_reload() {
        reload_at_.reset();
        p_.passing.begin(last_reload_request_);
    }

    void go_on_with_reload() {
        const auto needs = p_.passing.needs();
        if (needs != KeyPassing::Needs::a_turn && needs != KeyPassing::Needs::room) return;
        if (const auto passed = p_.passing.go_on(p_.keys); !passed)
            log::error("reload refused, the keys in force stay in force: " + passed.error().message);
    }

    std::optional<Exit> hear_signals() {
        signalfd_siginfo info{};
        while (::read(p_.signals, &info, sizeof info) == sizeof info) {
            if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
                if (trial_ends_) return Exit::try_later;
                log::info("stopping; the firewall's table and its grants stay (oneknockd --remove takes them away)");
                return Exit::ok;
            }
            if (info.ssi_signo == SIGHUP) reload_at_ = now_;
            if (info.ssi_signo == SIGCHLD)
                if (const auto end = a_room_that_ended()) return end;
        }
        return std::nullopt;
    }

    // Nothing if none did: a room that was stopped or goes on (Ctrl-Z and fg reach all of us) also makes SIGCHLD.
    static std::optional<Exit> a_room_that_ended() {
        int status = 0;
        if (waitpid(-1, &status, WNOHANG) <= 0) return std::nullopt;
        if (WIFSIGNALED(status))
            log::error("a room was ended by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")");
        else log::error("a room has ended");
        return Exit::software;
    }

    static Exit the_gatekeeper_ended() {
        poll(nullptr, 0, 50);  // the end of its channel is seen before the end of the process
        if (const auto end = a_room_that_ended()) return *end;
        log::error("the gatekeeper does not listen any more");
        return Exit::software;
    }

    FirewallLoop p_;
    Instant now_{};
    std::optional<Instant> repair_at_, reload_at_, trial_ends_;
    Instant repaired_{};
    Ticket last_reload_request_ = 0;
};

}  // namespace

Exit run_firewall(FirewallLoop loop) { return Loop(loop).run(); }

}  // namespace oneknock

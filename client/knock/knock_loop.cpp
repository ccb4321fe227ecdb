#include "client/knock/knock_loop.hpp"

#include <algorithm>

#include "common/poll.hpp"

namespace oneknock {
namespace {

class KnockLoop {
public:
    KnockLoop(std::vector<TargetKnock>& knocks, Goal goal, Instant wait, Instant start)
        : knocks_(knocks), goal_(goal), start_(start), deadline_(goal == Goal::sent ? never : start + wait) {
        outcome_.targets.resize(knocks.size());
    }

    KnockOutcome run() {
        for (;;) {
            const Now now = read_clocks();
            for (std::size_t i = 0; i < knocks_.size(); ++i)
                if (is_active(i)) turn(i, now);
            outcome_.elapsed = read_clocks().steady - start_;
            outcome_.reached = is_reached();
            if (outcome_.reached || nothing_left() || now.steady >= deadline_) return std::move(outcome_);
            sleep();
        }
    }

private:
    [[nodiscard]] bool is_active(std::size_t i) const {
        return !outcome_.targets[i].failed && !outcome_.targets[i].confirmed;
    }

    void turn(std::size_t i, const Now& now) {
        const auto ended_pass = knocks_[i].send_due(now);
        if (!ended_pass) {
            outcome_.targets[i].failed = ended_pass.error();
            return;
        }
        if (goal_ == Goal::sent) return;
        PortWatch& watch = knocks_[i].watch();
        const Instant after = *ended_pass ? read_clocks().steady : now.steady;  // making and sending take a while
        if (*ended_pass) watch.restart(after);
        watch.attempt(after);
        look(i, watch, after);
    }

    void look(std::size_t i, PortWatch& watch, Instant now) {
        const auto answer = watch.look(now);
        Descriptor connection = watch.take_connection();
        const auto wanted = goal_ == Goal::open ? PortWatch::Answer::accepted : PortWatch::Answer::refused;
        if (answer != wanted) return;
        outcome_.targets[i].confirmed = now - start_;
        if (!outcome_.connection) outcome_.connection = std::move(connection);
    }

    [[nodiscard]] bool is_reached() const {
        const auto confirmed = [](const auto& target) { return target.confirmed.has_value(); };
        if (goal_ == Goal::open) return std::ranges::any_of(outcome_.targets, confirmed);
        if (goal_ == Goal::sent) return all_sent() && !nothing_left();
        return std::ranges::all_of(outcome_.targets, [](const auto& t) { return t.confirmed || t.failed; }) &&
               std::ranges::any_of(outcome_.targets, confirmed);
    }

    [[nodiscard]] bool all_sent() const {
        return std::ranges::all_of(knocks_, [&](const TargetKnock& knock) {
            return knock.due() == never || outcome_.targets[static_cast<std::size_t>(&knock - knocks_.data())].failed;
        });
    }

    [[nodiscard]] bool nothing_left() const {
        return std::ranges::all_of(outcome_.targets, [](const auto& target) { return target.failed.has_value(); });
    }

    // Until something falls due or an attempt ends.
    void sleep() {
        Instant until = deadline_;
        std::vector<pollfd> polls;
        for (std::size_t i = 0; i < knocks_.size(); ++i) {
            if (!is_active(i)) continue;
            until = std::min({until, knocks_[i].due(), knocks_[i].watch().due()});
            knocks_[i].watch().collect(polls);
        }
        poll_until(polls, until);
    }

    std::vector<TargetKnock>& knocks_;
    Goal goal_;
    Instant start_;
    Instant deadline_;
    KnockOutcome outcome_;
};

}  // namespace

Result<KnockOutcome> run_knock_loop(std::vector<TargetKnock>& knocks, Goal goal, Instant wait) {
    KnockOutcome outcome = KnockLoop(knocks, goal, wait, read_clocks().steady).run();
    const auto failed = [](const auto& target) { return target.failed.has_value(); };
    if (std::ranges::all_of(outcome.targets, failed)) return tl::unexpected(*outcome.targets.front().failed);
    return outcome;
}

}  // namespace oneknock

#include "client/knock/knock_loop.hpp"

#include <algorithm>

#include "common/poll.hpp"

namespace oneknock {
namespace {

// A door that was not found is looked up again this soon, and one that was not oftener.
constexpr Instant lookup_pause = std::chrono::milliseconds{500};

class KnockLoop {
public:
    KnockLoop(const Task& task, const KnockPlan& plan, Instant start)
        : task_(task),
          plan_(plan),
          start_(start),
          deadline_(plan.goal == Goal::sent ? never : plan.deadline),
          next_lookup_(plan.look_up ? start + lookup_pause : never) {
        outcome_.not_found = plan.not_found;
    }

    void add(const Target& target) {
        outcome_.knocks.emplace_back(task_, target, plan_.record, read_clocks().steady);
        outcome_.targets.emplace_back();
    }

    KnockOutcome run() {
        for (;;) {
            const Now now = look_up(read_clocks());
            for (std::size_t i = 0; i < outcome_.knocks.size(); ++i)
                if (is_active(i)) turn(i, now);
            outcome_.elapsed = read_clocks().steady - start_;
            outcome_.reached = is_reached();
            if (outcome_.reached || nothing_left() || now.steady >= deadline_) return std::move(outcome_);
            if (plan_.watch) plan_.watch(outcome_);
            sleep();
        }
    }

private:
    [[nodiscard]] bool is_active(std::size_t i) const {
        const TargetOutcome& target = outcome_.targets[i];
        return !target.failed && !target.confirmed && !target.retired;
    }

    // The name may lead elsewhere by now: the network may be another one. A failure changes nothing.
    Now look_up(const Now& now) {
        const auto wants = [&](const TargetKnock& knock) { return knock.begins_message(now.steady); };
        if (now.steady < next_lookup_) return now;
        if (!outcome_.knocks.empty() && std::ranges::none_of(outcome_.knocks, wants)) return now;
        const auto found = plan_.look_up();
        const Now after = read_clocks();  // a name service may take its time
        next_lookup_ = after.steady + lookup_pause;
        outcome_.not_found = found ? std::nullopt : std::optional(found.error());
        if (found) turn_to(*found);
        return after;
    }

    void turn_to(const std::vector<Target>& targets) {
        const auto leads_to = [](const Target& target, const TargetKnock& knock) {
            return knock.target().destination == target.destination;
        };
        for (std::size_t i = 0; i < outcome_.knocks.size(); ++i)
            outcome_.targets[i].retired = std::ranges::none_of(
                targets, [&](const Target& target) { return leads_to(target, outcome_.knocks[i]); });
        for (const Target& target : targets)
            if (std::ranges::none_of(outcome_.knocks, [&](const auto& knock) { return leads_to(target, knock); }) &&
                outcome_.knocks.size() < most_knocks)
                add(target);
    }

    void turn(std::size_t i, const Now& now) {
        TargetKnock& knock = outcome_.knocks[i];
        if (plan_.goal != Goal::sent && !knock.has_passed() && knock.begins_pass(now.steady))
            knock.watch().attempt_before(now.steady);
        const Instant pace = knock.pace();
        const auto ended_pass = knock.send_due(now);
        if (!ended_pass) {
            outcome_.targets[i].failed = ended_pass.error();
            return;
        }
        if (plan_.goal == Goal::sent) return;
        PortWatch& watch = knock.watch();
        const Instant after = *ended_pass ? read_clocks().steady : now.steady;  // making and sending take a while
        if (*ended_pass) watch.restart(after, pace);
        watch.attempt(after);
        look(i, after);
    }

    // What the port answers to the attempt from before the knock counts once the knock is out: it is not cut short.
    void look(std::size_t i, Instant now) {
        TargetKnock& knock = outcome_.knocks[i];
        const auto answer = knock.watch().look(now);
        if (plan_.goal == Goal::closed) knock.watch().drop_connection();  // the port is still open
        const bool wanted =
            plan_.goal == Goal::open ? knock.watch().has_connection() : answer == PortWatch::Answer::refused;
        if (!wanted || !knock.has_passed()) return;
        outcome_.targets[i].confirmed = now - start_;
        Descriptor connection = knock.watch().take_connection();
        if (!outcome_.connection) outcome_.connection = std::move(connection);
    }

    [[nodiscard]] bool is_reached() const {
        const auto confirmed = [](const auto& target) { return target.confirmed.has_value(); };
        const auto done = [](const auto& t) { return t.confirmed || t.failed || t.retired; };
        if (plan_.goal == Goal::open) return std::ranges::any_of(outcome_.targets, confirmed);
        if (plan_.goal == Goal::sent) return all_sent() && !nothing_left();
        return std::ranges::all_of(outcome_.targets, done) && std::ranges::any_of(outcome_.targets, confirmed);
    }

    [[nodiscard]] bool all_sent() const {
        for (std::size_t i = 0; i < outcome_.knocks.size(); ++i)
            if (!outcome_.targets[i].failed && outcome_.knocks[i].due() != never) return false;
        return true;
    }

    // Where the door is looked up again, a target may come.
    [[nodiscard]] bool nothing_left() const {
        if (outcome_.targets.empty()) return outcome_.not_found && !may_mend(*outcome_.not_found);
        return std::ranges::all_of(outcome_.targets, [](const auto& t) { return t.failed || t.retired; });
    }

    // Until something falls due or an attempt ends.
    void sleep() {
        Instant until = deadline_;
        std::vector<pollfd> polls;
        for (std::size_t i = 0; i < outcome_.knocks.size(); ++i) {
            if (!is_active(i)) continue;
            until = std::min({until, outcome_.knocks[i].due(), outcome_.knocks[i].watch().due()});
            outcome_.knocks[i].watch().collect(polls);
        }
        if (outcome_.knocks.empty()) until = std::min(until, next_lookup_);
        poll_until(polls, until == never ? std::nullopt : std::optional(until));
    }

    const Task& task_;
    const KnockPlan& plan_;
    Instant start_;
    Instant deadline_;
    Instant next_lookup_;
    KnockOutcome outcome_;
};

}  // namespace

bool KnockOutcome::has_sent() const {
    return std::ranges::any_of(knocks, [](const TargetKnock& knock) { return knock.has_passed(); });
}

std::size_t KnockOutcome::likeliest() const {
    for (std::size_t i = 0; i < knocks.size(); ++i)
        if (knocks[i].has_passed() && !targets[i].retired) return i;
    return 0;
}

Result<KnockOutcome> run_knock_loop(const Task& task, const std::vector<Target>& targets, const KnockPlan& plan) {
    KnockLoop loop(task, plan, read_clocks().steady);
    for (const Target& target : targets) loop.add(target);
    KnockOutcome outcome = loop.run();
    for (const TargetKnock& knock : outcome.knocks) knock.tell();
    const auto failed = [](const auto& target) { return target.failed.has_value(); };
    const auto first = std::ranges::find_if(outcome.targets, failed);
    if (first != outcome.targets.end() && std::ranges::all_of(outcome.targets, failed))
        return tl::unexpected(*first->failed);
    if (!outcome.has_sent() && outcome.not_found) return tl::unexpected(*outcome.not_found);
    return outcome;
}

}  // namespace oneknock

#include "client/message/pass_schedule.hpp"

#include <algorithm>
#include <utility>

#include "common/protocol/constants.hpp"

namespace oneknock {

PassSchedule::PassSchedule(const Plan& plan, Instant start)
    : plan_(plan), due_(start), pace_(plan.adapts ? slower.front() : plan.pace) {}

Instant PassSchedule::pass_length() const { return pace_ * static_cast<std::int64_t>(plan_.packets - 1); }

// The whole pass must fit into the life of its message.
bool PassSchedule::needs_message(Instant now) const {
    return !has_message_ || other_carrier_ || now + pass_length() > made_ + repeat_limit;
}

std::size_t PassSchedule::packets_due(Instant now) const {
    if (pace_ == Instant{0}) return plan_.packets;
    const auto steps = static_cast<std::size_t>(std::max(now - pass_start_, Instant{0}) / pace_);
    return std::min(plan_.packets, steps + 1);
}

PassSchedule::Turn PassSchedule::take(Instant now, Instant jitter) {
    Turn turn;
    turn.first = sent_;
    if (sent_ == 0) {
        pass_start_ = now;
        turn.new_message = needs_message(now);
        turn.other_carrier = std::exchange(other_carrier_, false);
        if (turn.new_message) made_ = now;
        has_message_ = true;
    }
    turn.count = std::max(packets_due(now), sent_ + 1) - sent_;
    sent_ += turn.count;
    turn.ends_pass = sent_ == plan_.packets;
    if (turn.ends_pass) end_pass(now, jitter);
    else due_ = pass_start_ + pace_ * static_cast<std::int64_t>(sent_);
    return turn;
}

void PassSchedule::end_pass(Instant now, Instant jitter) {
    sent_ = 0;
    ++passes_;
    due_ = never;
    if (plan_.repeat) {
        slow_down();
        pause(now, jitter);
    } else if (plan_.twice && passes_ == 1) {
        pace_ = second_pace;
        due_ = now + second_pause + second_jitter * jitter.count() / Instant{repeat_jitter}.count();
    }
}

void PassSchedule::pause(Instant now, Instant jitter) { due_ = now + repeat_pause + jitter; }

void PassSchedule::slow_down() {
    if (passes_ == slower.size()) {
        passes_ = 1;  // one pass at once is enough, also to learn that the new carrier passes
        other_carrier_ = plan_.changes_carrier;
    }
    if (plan_.adapts) pace_ = slower[passes_];
}

void PassSchedule::discard_message(Instant now, Instant jitter) {
    has_message_ = other_carrier_ = false;
    sent_ = passes_ = 0;  // what let no packet out has told nothing about the path
    if (plan_.adapts) pace_ = slower.front();
    due_ = never;
    if (plan_.repeat) pause(now, jitter);
}

}  // namespace oneknock

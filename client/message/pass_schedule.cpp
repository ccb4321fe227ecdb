#include "client/message/pass_schedule.hpp"

#include <algorithm>

#include "common/protocol/constants.hpp"

namespace oneknock {

Instant PassSchedule::pass_length() const { return plan_.pace * static_cast<std::int64_t>(plan_.packets - 1); }

std::size_t PassSchedule::packets_due(Instant now) const {
    if (plan_.pace == Instant{0}) return plan_.packets;
    const auto steps = static_cast<std::size_t>(std::max(now - pass_start_, Instant{0}) / plan_.pace);
    return std::min(plan_.packets, steps + 1);
}

PassSchedule::Turn PassSchedule::take(Instant now, Instant jitter) {
    Turn turn;
    turn.first = sent_;
    if (sent_ == 0) {
        pass_start_ = now;
        // The whole pass must fit into the life of its message.
        turn.new_message = !has_message_ || now + pass_length() > made_ + repeat_limit;
        if (turn.new_message) made_ = now;
        has_message_ = true;
    }
    turn.count = std::max(packets_due(now), sent_ + 1) - sent_;
    sent_ += turn.count;
    turn.ends_pass = sent_ == plan_.packets;
    if (turn.ends_pass) end_pass(now, jitter);
    else due_ = pass_start_ + plan_.pace * static_cast<std::int64_t>(sent_);
    return turn;
}

void PassSchedule::end_pass(Instant now, Instant jitter) {
    sent_ = 0;
    due_ = plan_.repeat ? now + repeat_pause + jitter : never;
}

void PassSchedule::discard_message(Instant now, Instant jitter) {
    has_message_ = false;
    end_pass(now, jitter);
}

}  // namespace oneknock

// When packets leave (docs/protocol.md, "Sending"): here `--wait` decides when to knock again, and when with a new
// message. Pure: the clock and the jitter come in.
#pragma once

#include <cstddef>

#include "common/clock.hpp"

namespace oneknock {

inline constexpr Instant never = Instant::max();

class PassSchedule {
public:
    struct Plan {
        std::size_t packets = 0;  // per pass, at least 1
        Instant pace{0};          // between packets; 0: all at once
        bool repeat = false;      // pass after pass, else one alone
    };
    // What to send now: `count` packets of the pass, from number `first` on.
    struct Turn {
        bool new_message = false;  // make a message, with a new source port, before this
        std::size_t first = 0;     // 0: a new pass begins
        std::size_t count = 0;
        bool ends_pass = false;
    };

    PassSchedule(const Plan& plan, Instant start) : plan_(plan), due_(start) {}

    // When take() has something to send; `never` when all is sent.
    [[nodiscard]] Instant due() const { return due_; }

    // At `now` >= due(). Packets that are late by now are taken together. `jitter`, 0..repeat_jitter, is added to the
    // pause after a pass that ends here.
    Turn take(Instant now, Instant jitter);

    // The pass that was taken last failed: what is left of it is not sent, and the next one needs a new message.
    void discard_message(Instant now, Instant jitter);

private:
    [[nodiscard]] Instant pass_length() const;
    [[nodiscard]] std::size_t packets_due(Instant now) const;
    void end_pass(Instant now, Instant jitter);

    Plan plan_;
    Instant due_;
    bool has_message_ = false;
    Instant made_{};        // the message
    Instant pass_start_{};  // the pass under way
    std::size_t sent_ = 0;  // of it
};

}  // namespace oneknock

// When packets leave (docs/protocol.md, "Sending"): here `--wait` decides when to knock again, how fast, by which
// carrier, and when with a new message. Pure: the clock and the jitter come in.
#pragma once

#include <array>
#include <cstddef>

#include "common/clock.hpp"

namespace oneknock {

inline constexpr Instant never = Instant::max();

class PassSchedule {
public:
    // Passes that are in vain slow down: some paths limit new flows, or queue few packets. At 30 ms a pass takes 1.9 s,
    // most of the time until the next: two clients behind a translator that scatters ports meet in it. Then one at once
    // follows.
    static constexpr std::array<Instant, 5> slower{Instant{0}, Instant{0}, std::chrono::milliseconds{5},
                                                   std::chrono::milliseconds{15}, std::chrono::milliseconds{30}};
    // A pass that nobody watches is sent again: soon, for the sake of who connects next, but not before whatever held
    // up or dropped the first packets (the neighbour's hardware address, a sleeping link, a full queue) is likely over;
    // and spread, so that a short queue takes it.
    static constexpr Instant second_pause = std::chrono::milliseconds{20};
    static constexpr Instant second_jitter = std::chrono::milliseconds{20};
    static constexpr Instant second_pace = std::chrono::microseconds{500};

    struct Plan {
        std::size_t packets = 0;       // per pass, at least 1
        Instant pace{0};               // between packets; 0: all at once
        bool repeat = false;           // pass after pass, else one alone
        bool twice = false;            // without repeat: a second pass after the first
        bool adapts = false;           // with repeat: slows down as in `slower`, round after round, whatever the pace
        bool changes_carrier = false;  // with repeat: after each round
    };
    // What to send now: `count` packets of the pass, from number `first` on.
    struct Turn {
        bool new_message = false;    // make a message, with a new source port, before this
        bool other_carrier = false;  // than the last message's; only with a new one
        std::size_t first = 0;       // 0: a new pass begins
        std::size_t count = 0;
        bool ends_pass = false;
    };

    PassSchedule(const Plan& plan, Instant start);

    // When take() has something to send; `never` when all is sent.
    [[nodiscard]] Instant due() const { return due_; }
    // Whether what is sent next begins a pass.
    [[nodiscard]] bool is_between_passes() const { return sent_ == 0; }
    // Whether a pass that begins now needs a new message.
    [[nodiscard]] bool needs_message(Instant now) const;
    [[nodiscard]] Instant pace() const { return pace_; }  // of the pass under way, or the next

    // At `now` >= due(). Packets that are late by now are taken together. `jitter`, 0..repeat_jitter, is added to the
    // pause after a pass that ends here.
    Turn take(Instant now, Instant jitter);

    // The pass under way has a new message all the same: the address that the old one was sent from is gone.
    void renew(Instant now) { made_ = now; }

    // The pass that was taken last failed: what is left of it is not sent, and the next one needs a new message.
    void discard_message(Instant now, Instant jitter);

private:
    [[nodiscard]] Instant pass_length() const;
    [[nodiscard]] std::size_t packets_due(Instant now) const;
    void end_pass(Instant now, Instant jitter);
    void pause(Instant now, Instant jitter);
    void slow_down();

    Plan plan_;
    Instant due_;
    Instant pace_;
    std::size_t passes_ = 0;  // whole ones, of this round
    bool other_carrier_ = false;
    bool has_message_ = false;
    Instant made_{};        // the message
    Instant pass_start_{};  // the pass under way
    std::size_t sent_ = 0;  // of it
};

}  // namespace oneknock

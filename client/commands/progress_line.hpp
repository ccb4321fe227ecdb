// What --wait is doing, in one line that is drawn again and again and goes away in the end. On a terminal only.
#pragma once

#include <string>

#include "client/knock/knock_loop.hpp"
#include "client/options/options.hpp"

namespace oneknock {

class ProgressLine {
public:
    // Looks whether standard error is a terminal that can redraw a line.
    explicit ProgressLine(const KnockOptions& options);
    ~ProgressLine() { clear(); }
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    // At most ten times a second, and not before there is something to wait for.
    void show(const KnockOutcome& so_far);
    void clear();

private:
    const KnockOptions& options_;
    bool is_terminal_;
    bool is_shown_ = false;
    Instant next_;
};

// "tcp/22 at 203.0.113.5: message 2 by udp, 15 ms between packets; resets; 3 of 10 s"
[[nodiscard]] std::string progress_text(const KnockOutcome& so_far, const KnockOptions& options);

}  // namespace oneknock

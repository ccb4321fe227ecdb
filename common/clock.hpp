// Time as values. Programs read the clocks once per turn of their loop, in one place, and pass the result down.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace oneknock {

using Seconds = std::chrono::seconds;
using UnixTime = std::chrono::sys_seconds;

// A moment on a clock that never jumps and stands still while the machine sleeps; only differences mean anything.
using Instant = std::chrono::nanoseconds;

struct Now {
    UnixTime wall{};
    Instant steady{};
};

[[nodiscard]] Now read_clocks();

// "60s", "250ms", "10m", "1h", "7d", "2w": a whole number and a unit. With `allow_negative`, also "-5s".
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                                      bool allow_negative = false);
// The same in whole seconds; "250ms" is refused.
[[nodiscard]] std::optional<Seconds> parse_seconds(std::string_view text, bool allow_negative = false);
[[nodiscard]] std::string duration_text(
    Seconds seconds);  // "60s", "2m", "1h", "7d": the largest unit that divides; a minute stays in seconds

// "2026-11-23T07:00:00Z", the only form in files.
[[nodiscard]] std::optional<UnixTime> parse_time(std::string_view text);
[[nodiscard]] std::string time_text(UnixTime time);

}  // namespace oneknock

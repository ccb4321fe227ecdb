// How well this host's clock is kept, as the kernel knows it.
#pragma once

#include <chrono>
#include <optional>

namespace oneknock {

struct ClockKeeping {
    bool synchronised = false;
    std::chrono::microseconds most_off{};  // where it is
};

// Nothing where the kernel does not tell.
[[nodiscard]] std::optional<ClockKeeping> clock_keeping();

}  // namespace oneknock

// Whether something keeps this host's clock right, as the kernel knows it. Asked here and not by the daemon: its unit
// takes from it every call that could also set the clock.
#pragma once

#include <optional>
#include <string>

namespace oneknock {

// Nothing where the kernel does not tell.
[[nodiscard]] std::optional<bool> host_clock_is_synchronised();

// The daemon's answer to `status` with the field "clock_synchronised": true, false or null.
[[nodiscard]] std::string with_host_clock(const std::string& json, std::optional<bool> synchronised);

inline constexpr const char* clock_is_adrift =
    "this host's clock is not synchronised; knocks are refused as stale or future while it is off by more than the "
    "tolerance: see timedatectl";

}  // namespace oneknock

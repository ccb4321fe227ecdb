// Waiting in the loops of all programs: for descriptors, until the next timer is due.
#pragma once

#include <optional>
#include <span>

#include <poll.h>

#include "common/clock.hpp"

namespace oneknock {

// Waits until one of the descriptors is ready, a signal comes, or `due` is reached (steady clock); without `due` as
// long as it takes. The results are in `revents`.
void poll_until(std::span<pollfd> polled, std::optional<Instant> due);

// The one that is due first, of timers that may not be set.
[[nodiscard]] constexpr std::optional<Instant> earliest(std::optional<Instant> one, std::optional<Instant> other) {
    if (!one || !other) return one ? one : other;
    return *other < *one ? other : one;
}

}  // namespace oneknock

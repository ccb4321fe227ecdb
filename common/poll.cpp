#include "common/poll.hpp"

#include <algorithm>

namespace oneknock {

void poll_until(std::span<pollfd> polled, std::optional<Instant> due) {
    timespec timeout{};
    if (due) {
        const Instant left = std::max(Instant{0}, *due - read_clocks().steady);
        const auto seconds = std::chrono::floor<Seconds>(left);
        timeout = {static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
    }
    ppoll(polled.data(), polled.size(), due ? &timeout : nullptr, nullptr);
}

}  // namespace oneknock

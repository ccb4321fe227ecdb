#include "server/gatekeeper/decide/knock_latency.hpp"

#include <algorithm>

namespace oneknock {
namespace {

// The listener is believed no more than this: its pairs live no longer.
constexpr Instant longest_assembly = Seconds{5};

}  // namespace

void KnockLatency::add(const KnockMoments& knock) {
    const Instant first = std::clamp(knock.first_packet, knock.received - longest_assembly, knock.received);
    const Instant parts[part_count] = {knock.received - first, knock.verified - knock.received,
                                       knock.recorded - knock.verified, knock.answered - knock.recorded,
                                       knock.answered - first};
    for (std::size_t i = 0; i < part_count; ++i) {
        ++sums_[i].count;
        sums_[i].nanoseconds += static_cast<std::uint64_t>(std::max(Instant{0}, parts[i]).count());
    }
}

}  // namespace oneknock

// Where the time of accepted knocks goes: by part, how many and how long together, so that a reader can take
// differences.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/clock.hpp"

namespace oneknock {

// The moments of one knock. Several that are decided on in one turn of the loop share all but the first.
struct KnockMoments {
    Instant first_packet{};  // of those it was read from, by the kernel's clock
    Instant received{};      // the candidate, by the gatekeeper
    Instant verified{};      // hint, tag, policy
    Instant recorded{};      // durably
    Instant answered{};      // by the kernel: it is open, or closed
};

class KnockLatency {
public:
    static constexpr std::size_t part_count = 5;
    // The first four add up to the last.
    static constexpr std::array<std::string_view, part_count> part_names{"assembly", "verification", "record",
                                                                         "netlink", "total"};

    struct Sum {
        std::uint64_t count = 0;
        std::uint64_t nanoseconds = 0;
    };

    void add(const KnockMoments& knock);
    [[nodiscard]] const Sum& part(std::size_t number) const { return sums_[number]; }

private:
    std::array<Sum, part_count> sums_;
};

}  // namespace oneknock

// The grants this daemon believes to be in the kernel, so that they can be put back with their remaining times after
// another program flushed them. The kernel expires elements silently; this table does the same by its own clock.
#pragma once

#include <chrono>
#include <cstddef>

#include "common/expiring_map.hpp"
#include "common/protocol/address.hpp"

namespace oneknock {

// What a grant opens, and for whom: the key of its set element.
struct GrantKey {
    Service service;
    Address address;
    friend auto operator<=>(const GrantKey&, const GrantKey&) = default;
};

// The capacity is the size of the kernel's sets. A grant beyond it is refused here: a batch that the kernel refuses
// costs 10 ms and more, and nothing that comes from outside may cause one.
using GrantTable = ExpiringMap<GrantKey, 65536>;

// A timeout below one tick of the kernel's timer (10 ms at most) would be rounded to none: an element for ever.
inline constexpr std::chrono::milliseconds shortest_timeout{50};

}  // namespace oneknock

// The grants this daemon believes to be in the kernel, so that they can be put back with their remaining times after
// another program flushed them. The kernel expires elements silently; this table does the same by its own clock.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"

namespace oneknock {

// What a grant opens, and for whom: the key of its set element.
struct GrantKey {
    Service service;
    Address address;
    friend auto operator<=>(const GrantKey&, const GrantKey&) = default;
};

class GrantTable {
public:
    // The size of the kernel's sets. A grant beyond it is refused here: a batch that the kernel refuses costs 10 ms
    // and more, and nothing that comes from outside may cause one.
    static constexpr std::size_t capacity = 65536;

    using Map = std::map<GrantKey, Instant>;  // -> the instant of its end

    // Adds a grant, or replaces the end of a present one. False: full, nothing changed.
    [[nodiscard]] bool put(const GrantKey& key, Instant end, Instant now);
    void erase(const GrantKey& key);
    void clear();
    void drop_ended(Instant now);

    [[nodiscard]] std::optional<Instant> end_of(const GrantKey& key) const;
    [[nodiscard]] std::size_t live(Instant now) const;  // linear in the grants that ended since the last change

    // Including grants that have ended since the last drop_ended().
    [[nodiscard]] const Map& all() const { return ends_; }

private:
    Map ends_;
    std::set<std::pair<Instant, GrantKey>> by_end_;
};

}  // namespace oneknock

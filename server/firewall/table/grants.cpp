#include "server/firewall/table/grants.hpp"

namespace oneknock {

bool GrantTable::put(const GrantKey& key, Instant end, Instant now) {
    drop_ended(now);
    if (ends_.size() >= capacity && !ends_.contains(key)) return false;
    erase(key);
    ends_.emplace(key, end);
    by_end_.emplace(end, key);
    return true;
}

void GrantTable::erase(const GrantKey& key) {
    const auto found = ends_.find(key);
    if (found == ends_.end()) return;
    by_end_.erase({found->second, key});
    ends_.erase(found);
}

void GrantTable::clear() {
    ends_.clear();
    by_end_.clear();
}

void GrantTable::drop_ended(Instant now) {
    while (!by_end_.empty() && by_end_.begin()->first <= now) {
        ends_.erase(by_end_.begin()->second);
        by_end_.erase(by_end_.begin());
    }
}

std::optional<Instant> GrantTable::end_of(const GrantKey& key) const {
    const auto found = ends_.find(key);
    if (found == ends_.end()) return std::nullopt;
    return found->second;
}

std::size_t GrantTable::live(Instant now) const {
    std::size_t ended = 0;
    for (auto it = by_end_.begin(); it != by_end_.end() && it->first <= now; ++it) ++ended;
    return ends_.size() - ended;
}

}  // namespace oneknock

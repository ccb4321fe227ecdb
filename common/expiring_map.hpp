// Things that end by themselves: a map whose entries each have an end, and a capacity.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "common/clock.hpp"

namespace oneknock {

// Entries that have ended are dropped when something is put in, or on request; until then they are still to be seen.
template <class Key, std::size_t most, class Value = std::monostate>
class ExpiringMap {
public:
    static constexpr std::size_t capacity = most;

    struct Entry {
        Instant end{};
        [[no_unique_address]] Value value{};
    };
    using Map = std::map<Key, Entry>;

    // Adds an entry, or replaces the one of this key. False: full, and nothing changed.
    [[nodiscard]] bool put(const Key& key, Instant end, Instant now, Value value = {}) {
        drop_ended(now);
        if (entries_.size() >= capacity && !entries_.contains(key)) return false;
        erase(key);
        entries_.emplace(key, Entry{end, std::move(value)});
        by_end_.emplace(end, key);
        return true;
    }

    void erase(const Key& key) {
        const auto found = entries_.find(key);
        if (found == entries_.end()) return;
        by_end_.erase({found->second.end, key});
        entries_.erase(found);
    }

    void clear() {
        entries_.clear();
        by_end_.clear();
    }

    // An entry lives until its end, not at it. `dropped` is told the key of each that goes.
    void drop_ended(Instant now) {
        drop_ended(now, [](const Key&) {});
    }
    template <class Dropped>
    void drop_ended(Instant now, Dropped dropped) {
        while (!by_end_.empty() && by_end_.begin()->first <= now) {
            dropped(by_end_.begin()->second);
            entries_.erase(by_end_.begin()->second);
            by_end_.erase(by_end_.begin());
        }
    }

    [[nodiscard]] std::optional<Instant> end_of(const Key& key) const {
        const auto found = entries_.find(key);
        return found == entries_.end() ? std::nullopt : std::optional(found->second.end);
    }

    // By key.
    [[nodiscard]] const Map& all() const { return entries_; }

private:
    Map entries_;
    std::set<std::pair<Instant, Key>> by_end_;  // of the same entries
};

}  // namespace oneknock

#include "server/listener/window_table.hpp"

#include <algorithm>

namespace oneknock {

// The families differ in length.
KeyBytes WindowKey::bytes() const {
    KeyBytes all{{}, 2 + source.length()};
    store_u16be(all.bytes.data(), port);
    std::copy_n(source.bytes.begin(), 16, all.bytes.begin() + 2);
    return all;
}

KeyBytes SourceKey::bytes() const {
    KeyBytes all{{}, network.family == Family::ipv4 ? 4U : 8U};
    std::copy_n(network.bytes.begin(), 8, all.bytes.begin());
    return all;
}

SourceKey source_key(const Address& source) {
    SourceKey key{source};
    std::fill(key.network.bytes.begin() + 8, key.network.bytes.end(), std::uint8_t{0});
    return key;
}

// Sources without windows are kept as long as there is room, so that going quiet does not refill a budget.
WindowTable::WindowTable() : windows_(most_small + most_full), sources_(most_small + most_full) {
    pool_free_.reserve(most_full);
}

Index WindowTable::find_or_insert_source(const SourceKey& key) {
    const auto links = [this](Index i) -> Link& { return sources_[i].by_age; };
    if (const Index found = sources_.find(key); found != no_index) {
        if (sources_[found].small.count + sources_[found].full.count == 0) idle_sources_.remove(found, links);
        return found;
    }
    if (sources_.full()) {
        const Index oldest = idle_sources_.oldest;  // there is one: every other source has a window of its own
        idle_sources_.remove(oldest, links);
        sources_.erase(oldest);
    }
    return sources_.insert(key);
}

void WindowTable::link(Index index) {
    const WindowEntry& window = windows_[index];
    const bool is_full = window.full != no_index;
    (is_full ? full_ : small_).push(index, [this](Index i) -> Link& { return windows_[i].by_age; });
    SourceEntry& source = sources_[window.source];
    (is_full ? source.full : source.small).push(index, [this](Index i) -> Link& {
        return windows_[i].by_age_in_source;
    });
}

void WindowTable::unlink(Index index) {
    const WindowEntry& window = windows_[index];
    const bool is_full = window.full != no_index;
    (is_full ? full_ : small_).remove(index, [this](Index i) -> Link& { return windows_[i].by_age; });
    SourceEntry& source = sources_[window.source];
    (is_full ? source.full : source.small).remove(index, [this](Index i) -> Link& {
        return windows_[i].by_age_in_source;
    });
}

Index WindowTable::insert(const WindowKey& key, Instant now) {
    const SourceKey source_of_key = source_key(key.source);
    if (const Index known = sources_.find(source_of_key);
        known != no_index && sources_[known].small.count >= most_small_per_source)
        erase(sources_[known].small.oldest);
    if (small_.count >= most_small) erase(small_.oldest);
    if (windows_.full()) erase(full_.oldest);
    const Index source = find_or_insert_source(source_of_key);
    const Index index = windows_.insert(key);
    WindowEntry& window = windows_[index];
    window.source = source;
    window.serial = next_serial_++;
    window.last_new = now;
    link(index);
    return index;
}

void WindowTable::erase(Index index) {
    const Index source = windows_[index].source;
    unlink(index);
    windows_[index].serial = 0;  // whoever still holds the index sees that the window is gone
    if (windows_[index].full != no_index) pool_free_.push_back(windows_[index].full);
    windows_.erase(index);
    if (sources_[source].small.count + sources_[source].full.count == 0)
        idle_sources_.push(source, [this](Index i) -> Link& { return sources_[i].by_age; });
}

void WindowTable::erase_book(Books::Slot book) {
    windows_.for_each([&](Index index) {
        if (windows_[index].key.book == book) erase(index);
    });
}

void WindowTable::promote(Index index) {
    WindowEntry& window = windows_[index];
    const SourceEntry& source = sources_[window.source];
    if (source.full.count >= most_full_per_source) erase(source.full.oldest);
    if (full_.count >= most_full) erase(full_.oldest);
    unlink(index);
    if (pool_free_.empty()) {
        window.full = static_cast<Index>(pool_.size());
        pool_.emplace_back();
    } else {
        window.full = pool_free_.back();
        pool_free_.pop_back();
        pool_[window.full] = Window{};
    }
    for (std::size_t i = 0; i < window.small_count; ++i)
        pool_[window.full].add(window.small[i].symbol, window.small[i].seen);
    window.small_count = 0;
    link(index);
}

void WindowTable::touch(Index index, Instant now) {
    unlink(index);
    windows_[index].last_new = now;
    link(index);
}

void WindowTable::remove_pair(Index index, Symbol symbol) {
    WindowEntry& window = windows_[index];
    if (window.full != no_index) return pool_[window.full].remove(symbol);
    const auto end = window.small.begin() + window.small_count;
    const auto found = std::ranges::find(window.small.begin(), end, symbol, &SmallPair::symbol);
    if (found == end) return;
    std::move(found + 1, end, found);
    --window.small_count;
}

bool WindowTable::continues_word(const WindowKey& key, Symbol symbol, Tick now) const {
    const Index index = windows_.find(key);
    if (index == no_index || windows_[index].full == no_index) return false;
    return pool_[windows_[index].full].continues_word(symbol, now);
}

void WindowTable::empty(Index index) {
    WindowEntry& window = windows_[index];
    window.small_count = 0;
    window.split = false;
    window.only_port = 0;
    if (window.full == no_index) return;
    unlink(index);
    pool_free_.push_back(window.full);
    window.full = no_index;
    link(index);
}

}  // namespace oneknock

// All windows, capped in all and per source (docs/protocol.md, "Receiving", step 3).
//
// A window starts small, with room for a few pairs. With more pairs it is promoted to a Window from a pool. When room
// is short the window whose last new pair is oldest goes: small before full, and the source that has more than its
// share before anyone else.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "common/protocol/address.hpp"
#include "common/token_bucket.hpp"
#include "server/listener/books.hpp"
#include "server/listener/fixed_hash_table.hpp"
#include "server/listener/window.hpp"

namespace oneknock {

// The caps. In all: 16,384 small windows of about 150 bytes, 8,192 full ones of about 2.3 KiB.
inline constexpr std::uint32_t most_small = 16'384, most_full = 8'192;
inline constexpr std::uint32_t most_small_per_source = 4'096, most_full_per_source = 1'024;
inline constexpr std::size_t small_pairs = 8;

// What is hashed of a key: no longer than it must be, since a hash takes its time by the eight bytes. Of a window's,
// all but its book: there are few, and one hash finds a packet's source in all of them.
struct KeyBytes {
    Bytes<18> bytes;
    std::size_t length;
    operator ByteSpan() const { return ByteSpan(bytes).first(length); }
};

struct WindowKey {
    Address source;
    std::uint16_t port = 0;  // 0 in a merged window
    Books::Slot book = 0;
    bool merged = false;  // over all source ports

    friend bool operator==(const WindowKey&, const WindowKey&) = default;
    [[nodiscard]] KeyBytes bytes() const;
};

// What shares a budget and a cap: an IPv4 address or an IPv6 /64.
struct SourceKey {
    Address network;
    friend bool operator==(const SourceKey&, const SourceKey&) = default;
    [[nodiscard]] KeyBytes bytes() const;
};
[[nodiscard]] SourceKey source_key(const Address& source);

struct SmallPair {
    Symbol symbol;
    Tick seen;
};

struct WindowEntry {
    WindowKey key;
    Instant last_new{};        // when the last new pair came
    Index source = no_index;   // into the sources
    Index full = no_index;     // into the pool, once promoted
    std::uint32_t serial = 0;  // tells this window from a later one at the same index
    Link by_age, by_age_in_source;
    std::array<SmallPair, small_pairs> small{};
    std::uint8_t small_count = 0;
    bool queued = false;          // for a decode
    bool quiet_due = false;       // in the list of windows to be tried again when quiet
    bool split = false;           // merged: several source ports have been seen, each has its own window
    std::uint16_t only_port = 0;  // merged and not split: the one source port so far
};

struct SourceEntry {
    SourceKey key;
    IndexList small, full;  // its windows, by age
    TokenBucket decodes;    // that it may still cause
    Link by_age;
};

class WindowTable {
public:
    WindowTable();

    [[nodiscard]] WindowEntry& operator[](Index index) { return windows_[index]; }
    [[nodiscard]] SourceEntry& source(Index window) { return sources_[windows_[window].source]; }
    [[nodiscard]] Window& full(Index window) { return pool_[windows_[window].full]; }
    [[nodiscard]] std::uint64_t hash(const WindowKey& key) const { return windows_.hash(key); }
    [[nodiscard]] Index find(const WindowKey& key) const { return windows_.find(key); }
    [[nodiscard]] Index find(const WindowKey& key, std::uint64_t hash_of_key) const {
        return windows_.find(key, hash_of_key);
    }

    // A new small window; others may be evicted for it.
    Index insert(const WindowKey& key, Instant now);
    void erase(Index index);
    void erase_book(Books::Slot book);

    // Moves a small window's pairs into a full one; others may be evicted for it.
    void promote(Index index);

    // A pair was added to this window: it becomes the newest.
    void touch(Index index, Instant now);

    // Forgets all pairs, keeps the window.
    void empty(Index index);
    void remove_pair(Index index, Symbol symbol);

    // Whether this window, if there is one, has read a word that the pair belongs to.
    [[nodiscard]] bool continues_word(const WindowKey& key, Symbol symbol, Tick now) const;

private:
    Index find_or_insert_source(const SourceKey& key);
    void link(Index index);
    void unlink(Index index);

    FixedHashTable<WindowEntry> windows_;
    FixedHashTable<SourceEntry> sources_;
    std::deque<Window> pool_;  // grows up to most_full, never shrinks
    std::vector<Index> pool_free_;
    IndexList small_, full_;  // by age
    IndexList idle_sources_;  // without windows, by age
    std::uint32_t next_serial_ = 1;
};

}  // namespace oneknock

// The first pairs of sources that have said little so far. Most strangers never say more, so each pair takes twelve
// bytes here before its source is given windows (window_table.hpp): a flood of random sources costs little more than
// reading it.
//
// Sets of five places, found by a keyed hash of the source; the oldest pair of a set makes room for a new one. In a
// book an IPv4 address has one set, an IPv6 /64 has 64 of them: no source gets more than its share. What one packet
// says in several books goes to as many sets: in one, they would make room for each other for ever. Fixed size;
// allocates nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "common/protocol/address.hpp"
#include "server/listener/books.hpp"
#include "server/listener/keyed_hash.hpp"
#include "server/listener/window.hpp"

namespace oneknock {

class StrangerTable {
public:
    static constexpr std::size_t places = 5,
                                 sets = 4'096;  // 20,480 pairs; 256 KiB stay in the processor's nearer caches
    static constexpr std::size_t sets_of_network = 64;
    // A source that says more is no stranger.
    static constexpr std::size_t most_pairs = 3;

    struct Pair {
        Symbol symbol;
        std::uint16_t port;  // the source's
        Tick seen;
    };

    // Notes what a source said in a book; `hash` is keyed, of the source. A known pair is renewed. When there are more
    // than `most_pairs`, they are given back, oldest first and the new one last, and forgotten here.
    std::span<const Pair> add(const Address& source, std::uint64_t hash, Books::Slot book, const Pair& pair);

    void clear();

private:
    // Part of the hash, and the book, stand for the source there: should two sources share it, their pairs are taken
    // for one source's, which costs a decode.
    using Mark = std::uint32_t;
    static constexpr Mark empty = 0;

    struct alignas(64) Set {       // a cache line
        std::uint32_t oldest = 0;  // the place to be used next
        std::array<Mark, places> marks{};
        std::array<Pair, places> pairs;
    };
    static_assert(sizeof(Set) == 64);

    [[nodiscard]] Set& set_of(const Address& source, std::uint64_t hash, Books::Slot book) const;

    KeyedHash network_hash_;
    std::unique_ptr<Set[]> sets_{new Set[sets]};
    std::array<Pair, most_pairs + 1> given_back_{};
};

}  // namespace oneknock

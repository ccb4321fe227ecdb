// What one source has said within the last seconds, under one codebook: distinct (position, byte) pairs with the
// time each was last seen (docs/protocol.md, "Receiving", steps 3 and 4). Pure; fixed size; allocates nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "common/clock.hpp"
#include "common/protocol/codebook.hpp"
#include "common/protocol/codeword.hpp"

namespace oneknock {

// Time in steps of 2^14 ns (16 microseconds), wrapping after 19 hours; only differences are used, and a window that
// was quiet for longer than a pair lives is emptied before it is used again.
using Tick = std::uint32_t;
constexpr Tick tick_of(Instant now) { return static_cast<Tick>(now.count() >> 14); }
constexpr Tick ticks_in(Instant duration) { return static_cast<Tick>(duration.count() >> 14); }
// The moment of a recent tick, at most `now`.
constexpr Instant instant_of(Tick tick, Instant now) { return now - Instant{std::int64_t{tick_of(now) - tick} << 14}; }
inline constexpr Tick pair_lifetime_ticks = ticks_in(pair_lifetime);

// How the bytes of conflicted positions are chosen. Positions with one pair are always taken as they are.
enum class Choice : std::uint8_t {
    newest,            // the byte seen last
    erase_conflicts,   // leave conflicted positions out
    newest_positions,  // the (k + 64) / 2 positions seen last, the rest left out
    recent,            // only what came within the last 50 ms
    oldest,            // the byte that was there first
    random,
};

// Both ends inclusive.
struct Interval {
    Tick from = 0;
    Tick length = 0;
    [[nodiscard]] bool holds(Tick t) const { return t - from <= length; }
};

// What a choice hands to the decoder.
struct Selection {
    Codeword word{};
    std::array<std::uint8_t, codeword_length> missing{};
    std::size_t missing_count = 0;
    bool conflicted = false;  // some position has several pairs

    [[nodiscard]] std::size_t present() const { return codeword_length - missing_count; }
    [[nodiscard]] std::span<const std::uint8_t> missing_span() const { return std::span(missing).first(missing_count); }
};

// A knock takes about half a millisecond to send; the network may stretch it.
inline constexpr Tick burst_ticks = ticks_in(std::chrono::milliseconds{2});

class Window {
public:
    static constexpr std::size_t pairs_per_position = 4;
    static constexpr std::size_t most_swallowed = 8;

    // Renews the pair; true if it is the newest of its position only now. A position that is full loses its oldest
    // pair.
    bool add(Symbol symbol, Tick now);

    // True if the pair belongs to a word that was done within the last 5 s.
    [[nodiscard]] bool swallows(Symbol symbol, Tick now) const;

    // Or to the word that is pending.
    [[nodiscard]] bool continues_word(Symbol symbol, Tick now) const {
        return (pending && (*pending)[symbol.position] == symbol.byte) || swallows(symbol, now);
    }

    void remove(Symbol symbol);

    // Positions that hold something, counting pairs whose time is over: an upper bound, for deciding whether to look.
    [[nodiscard]] std::size_t positions_at_most() const { return positions_; }
    [[nodiscard]] std::size_t pairs_at_most() const { return pairs_; }

    // Whether more than so many live pairs are of no word that was done, in this window or in `other`.
    [[nodiscard]] bool has_undone(std::size_t more_than, const Window* other, Tick now) const;

    // The bytes to decode. In conflicts, pairs of `known` words (verified ones of this source) are passed over.
    // Only pairs last seen within `when` count.
    [[nodiscard]] Selection select(Choice choice, Tick now, std::size_t k, std::span<const Codeword> known,
                                   Interval when) const;

    static Interval whole_life(Tick now) { return {now - pair_lifetime_ticks, pair_lifetime_ticks}; }

    // The interval of this length in which most positions were heard: a burst stands out of a stranger's even stream,
    // however much later it is looked for.
    [[nodiscard]] Interval densest(Tick now, Tick length) const;

    // Whether k pairs and more came within the last one to two milliseconds.
    [[nodiscard]] bool is_dense(Tick now, std::size_t k) const;

    // Live pairs that are part of this word.
    [[nodiscard]] std::size_t agreeing(const Codeword& word, Tick now) const;

    // When the first of them was last heard; `now` if there is none.
    [[nodiscard]] Tick first_heard(const Codeword& word, Tick now) const;

    // The word is done: its pairs leave, and are swallowed for 5 s.
    void finish(const Codeword& word, Tick now);

    // A word handed over for verification, whose answer is awaited.
    std::optional<Codeword> pending;

    void reject(const Codeword& word);  // it did not verify
    [[nodiscard]] bool is_rejected(const Codeword& word) const;

    std::uint8_t new_pairs = 0;  // since the last attempt
    std::uint8_t turn = 0;       // of the choices tried in turn
    bool conflicted = false;     // at the last attempt
    bool had_burst = false;      // not tried again since

private:
    // Newest first.
    struct Cell {
        std::array<Tick, pairs_per_position> seen{};
        std::array<std::uint8_t, pairs_per_position> bytes{};
        std::uint8_t count = 0;
    };
    struct Swallowed {
        Codeword word{};
        Tick since = 0;
        bool used = false;
    };
    using Picked = std::array<std::uint8_t, pairs_per_position>;

    static bool is_live(Tick seen, Tick now) { return now - seen <= pair_lifetime_ticks; }
    static std::size_t pick_live(const Cell& cell, std::size_t position, Interval when, std::span<const Codeword> known,
                                 Picked& picked);
    void count_arrival(Tick now);

    std::array<Cell, codeword_length> cells_{};
    std::array<Swallowed, most_swallowed> swallowed_{};
    std::array<Codeword, 4> rejected_{};
    std::uint8_t next_swallowed_ = 0;
    std::uint8_t next_rejected_ = 0;
    std::uint8_t positions_ = 0;
    std::uint16_t pairs_ = 0;
    Tick millisecond_ = 0;       // the one being counted
    std::uint16_t arrived_ = 0;  // pairs in it
    std::uint16_t before_ = 0;   // and in the one before it
};

}  // namespace oneknock

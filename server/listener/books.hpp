// The codebooks in force and the look-up of a destination port in each (docs/protocol.md, "Receiving", step 2).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "common/clock.hpp"
#include "common/protocol/codebook.hpp"
#include "common/protocol/constants.hpp"

namespace oneknock {

// Of this hour and its neighbour, for at most the two generations of a door that rotates, and as many again waiting.
inline constexpr std::size_t most_books = 8;

struct Book {
    Epoch epoch;
    std::uint32_t door_generation = 0;
    UnixTime live_from{};
    UnixTime live_until{};  // inclusive
    Codebook codes;

    [[nodiscard]] bool is_live(UnixTime now) const { return live_from <= now && now <= live_until; }
};

class Books {
public:
    using Slot = std::uint8_t;  // 0..most_books - 1; a slot keeps its book until the book is over

    // A book of the same hour and generation replaces the old one's times, or the old one, if it has other codes. Full:
    // the one of the hour farthest away makes room. Says the slot that holds a new book now, so that whatever was
    // gathered under its number before is forgotten.
    std::optional<Slot> add(Book book);

    // Calls `found(slot, symbol)` for every live book that knows the port.
    template <class Function>
    void look_up(std::uint16_t port, UnixTime now, Function found) const {
        for (std::size_t i = 0; i < used_; ++i)
            if (slots_[i]->is_live(now))
                if (const auto symbol = slots_[i]->codes.symbol(port)) found(static_cast<Slot>(i), *symbol);
    }

    [[nodiscard]] const Book& at(Slot slot) const { return *slots_[slot]; }
    [[nodiscard]] Slot used() const { return static_cast<Slot>(used_); }  // the slots below it hold a book

private:
    std::array<std::optional<Book>, most_books> slots_;  // the first `used_` hold a book
    std::size_t used_ = 0;
};

}  // namespace oneknock

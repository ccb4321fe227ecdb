// From a message's hint to the few keys it may be of, for one hour. Built in slices, off the packet path, so that the
// change of the hour delays no knock however many clients there are.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/protocol/constants.hpp"
#include "common/secret.hpp"

namespace oneknock {

class HintTable {
public:
    using KeyNumber = std::uint32_t;

    HintTable(Epoch epoch, std::size_t keys) : epoch_(epoch), count_(keys), starts_(hint_values + 1) {
        entries_.reserve(keys);
    }

    // Complete: the hints by key number.
    HintTable(Epoch epoch, std::vector<std::uint16_t> hints)
        : epoch_(epoch), count_(hints.size()), starts_(hint_values + 1), entries_(std::move(hints)) {
        sort();
    }

    [[nodiscard]] Epoch epoch() const { return epoch_; }
    [[nodiscard]] bool complete() const { return entries_.size() == count_; }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

    // By key number.
    [[nodiscard]] std::uint16_t hint_of(KeyNumber key) const { return entries_[key]; }

    // Adds the hint of the next key, in the order of the keys' numbers; the last one completes the table.
    void add(Hint hint);

    // All keys with this hint; nothing while the table is incomplete.
    template <class Function>
    void for_each(Hint hint, Function function) const {
        if (!complete()) return;
        const std::uint16_t number = load_u16be(hint.bytes.data());
        for (std::uint32_t i = starts_[number]; i < starts_[number + 1U]; ++i) function(sorted_[i]);
    }

private:
    static constexpr std::size_t hint_values = 65536;
    void sort();

    Epoch epoch_;
    std::size_t count_;
    std::vector<std::uint32_t> starts_;   // by hint, into sorted_
    std::vector<std::uint16_t> entries_;  // by key number
    std::vector<KeyNumber> sorted_;
};

}  // namespace oneknock

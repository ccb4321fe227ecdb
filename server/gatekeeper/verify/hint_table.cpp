#include "server/gatekeeper/verify/hint_table.hpp"

namespace oneknock {

void HintTable::add(Hint hint) {
    entries_.push_back(load_u16be(hint.bytes.data()));
    if (complete()) sort();
}

// Counting sort by hint.
void HintTable::sort() {
    for (const std::uint16_t hint : entries_) ++starts_[hint + 1U];
    for (std::size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
    sorted_.resize(entries_.size());
    std::vector<std::uint32_t> next(starts_.begin(), starts_.end() - 1);
    for (std::size_t key = 0; key < entries_.size(); ++key)
        sorted_[next[entries_[key]]++] = static_cast<KeyNumber>(key);
}

}  // namespace oneknock

#include "server/listener/stranger_table.hpp"

namespace oneknock {

StrangerTable::Set& StrangerTable::set_of(const Address& source, std::uint64_t hash, Books::Slot book) const {
    if (source.family == Family::ipv4) return sets_[(hash + book) % sets];
    const std::uint64_t network = network_hash_(ByteSpan(source.bytes).first(8));
    return sets_[(network + (hash + book) % sets_of_network) % sets];
}

std::span<const StrangerTable::Pair> StrangerTable::add(const Address& source, std::uint64_t hash, Books::Slot book,
                                                        const Pair& pair) {
    Set& set = set_of(source, hash, book);
    const Mark mark = static_cast<Mark>((hash >> 32) * most_books + book) << 1 | 1;
    std::size_t said = 0;
    std::array<std::size_t, places> where;
    for (std::size_t i = 0, at = set.oldest; i < places; ++i, at = at + 1 == places ? 0 : at + 1) {
        if (set.marks[at] != mark) continue;
        Pair& known = set.pairs[at];
        if (pair.seen - known.seen > pair_lifetime_ticks) continue;
        if (known.symbol == pair.symbol && known.port == pair.port) {
            known.seen = pair.seen;
            return {};
        }
        where[said++] = at;
    }
    if (said < most_pairs) {
        set.marks[set.oldest] = mark;
        set.pairs[set.oldest] = pair;
        set.oldest = static_cast<std::uint32_t>((set.oldest + 1) % places);
        return {};
    }
    std::size_t count = 0;
    for (; count < most_pairs; ++count) {
        given_back_[count] = set.pairs[where[count]];
        set.marks[where[count]] = empty;
    }
    given_back_[count++] = pair;
    return std::span(given_back_).first(count);
}

void StrangerTable::clear() {
    for (std::size_t i = 0; i < sets; ++i) sets_[i].marks.fill(empty);
}

}  // namespace oneknock

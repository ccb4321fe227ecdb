#include "server/listener/books.hpp"

#include <algorithm>

namespace oneknock {

std::optional<Books::Slot> Books::add(Book book) {
    const auto same = std::ranges::find_if(slots_, [&](const auto& slot) {
        return slot && slot->epoch == book.epoch && slot->door_generation == book.door_generation;
    });
    if (same != slots_.end()) {
        (*same)->live_from = book.live_from;
        (*same)->live_until = book.live_until;
        return std::nullopt;
    }
    const auto ends_first = std::ranges::min_element(slots_, {}, [](const auto& slot) {
        return slot ? slot->live_until : UnixTime::min();
    });
    if (!*ends_first) ++used_;
    *ends_first = std::move(book);
    return static_cast<Slot>(ends_first - slots_.begin());
}

}  // namespace oneknock

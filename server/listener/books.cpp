#include "server/listener/books.hpp"

#include <algorithm>

namespace oneknock {

std::optional<Books::Slot> Books::add(Book book) {
    const auto same = std::ranges::find_if(slots_, [&](const auto& slot) {
        return slot && slot->epoch == book.epoch && slot->door_generation == book.door_generation;
    });
    if (same != slots_.end() && (*same)->codes == book.codes) {
        (*same)->live_from = book.live_from;
        (*same)->live_until = book.live_until;
        return std::nullopt;
    }
    // Not the one that ends first: a clock that was ahead for a while leaves books behind that end in years.
    const auto distance = [&](const std::optional<Book>& slot) {
        return slot->epoch.value > book.epoch.value ? slot->epoch.value - book.epoch.value
                                                    : book.epoch.value - slot->epoch.value;
    };
    const auto slot = same != slots_.end()    ? same
                      : used_ < slots_.size() ? slots_.begin() + static_cast<std::ptrdiff_t>(used_++)
                                              : std::ranges::max_element(slots_, {}, distance);
    *slot = std::move(book);
    return static_cast<Slot>(slot - slots_.begin());
}

}  // namespace oneknock

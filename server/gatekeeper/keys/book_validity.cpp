#include "server/gatekeeper/keys/book_validity.hpp"

#include <algorithm>

namespace oneknock {

std::vector<Epoch> wanted_epochs(UnixTime now, Seconds tolerance) {
    std::vector<Epoch> wanted;
    const auto hour_of = [](UnixTime time) { return epoch_of(std::max(time, UnixTime{})).value; };  // none before 1970
    const std::uint64_t first = hour_of(now - tolerance), last = hour_of(now + tolerance + book_lead);
    for (std::uint64_t value = first; value <= last; ++value) wanted.push_back(Epoch{value});
    return wanted;
}

BookValidity validity_of_book(Epoch epoch, const Generation& generation, Seconds tolerance) {
    const UnixTime from = start_of(epoch) - tolerance, until = start_of(Epoch{epoch.value + 1}) + tolerance;
    return {std::max(from, generation.not_before - tolerance), std::min(until, generation.not_after.value_or(until))};
}

UnixTime next_change(UnixTime now, Seconds tolerance) {
    // The list changes when now - tolerance or now + tolerance + lead enters another hour.
    const UnixTime leaves = start_of(Epoch{epoch_of(now - tolerance).value + 1}) + tolerance;
    const UnixTime enters = start_of(Epoch{epoch_of(now + tolerance + book_lead).value + 1}) - tolerance - book_lead;
    return std::min(leaves, enters);
}

}  // namespace oneknock

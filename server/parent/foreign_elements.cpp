#include "server/parent/foreign_elements.hpp"

namespace oneknock {
namespace {

// At least 1: 0 is for those that never end. Timeouts of nf_tables may be longer than 32 bits of seconds.
std::uint32_t seconds_left(std::chrono::milliseconds remaining) {
    const auto seconds = std::chrono::ceil<Seconds>(remaining).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, 1, UINT32_MAX));
}

}  // namespace

ForeignElements told_of(const std::vector<ForeignElement>& elements) {
    ForeignElements all;
    all.count = static_cast<std::uint32_t>(elements.size());
    for (const ForeignElement& element : elements) {
        if (all.told == ForeignElements::most_told) break;
        if (!element.grant) continue;
        SentForeignElement& told = all.elements[all.told++];
        told.service = element.grant->service;
        told.address = element.grant->address;
        if (element.remaining) told.remaining_s = seconds_left(*element.remaining);
    }
    return all;
}

}  // namespace oneknock

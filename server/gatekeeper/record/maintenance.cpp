#include "server/gatekeeper/record/maintenance.hpp"

#include <algorithm>

namespace oneknock {

void Upkeep::plan(Instant now) {
    if (!prune_at_) prune_at_ = now + tolerance_ + Seconds{1};
}

std::optional<Instant> Upkeep::next_due(const Record& record, Instant now, bool awaited) const {
    if (!awaited && record.log_has(log_pages)) return now;
    return prune_at_ && awaited ? *prune_at_ + patience : prune_at_;
}

Result<void> Upkeep::tend(Record& record, const Now& now, bool busy) {
    if (record.log_has(busy ? most_log_pages : log_pages)) record.fold_log_in();
    if (!prune_at_ || now.steady < *prune_at_ + (busy ? patience : Instant{0})) return {};
    return prune(record, now);
}

Result<void> Upkeep::prune(Record& record, const Now& now) {
    const auto more = record.prune(now.wall, tolerance_, rows_a_slice);
    if (more && *more) return {};  // still due
    prune_at_.reset();
    if (!more || record.has_tags()) plan(now.steady);
    if (!more) return tl::unexpected(more.error());
    return {};
}

}  // namespace oneknock

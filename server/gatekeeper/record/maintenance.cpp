#include "server/gatekeeper/record/maintenance.hpp"

#include <algorithm>

namespace oneknock {

void RecordMaintenance::plan(Instant now) {
    if (!prune_at_) prune_at_ = now + tolerance_ + Seconds{1};
}

std::optional<Instant> RecordMaintenance::next_due(const Record& record, Instant now, bool awaited) const {
    if (!awaited && record.wal_has(wal_pages)) return now;
    return prune_at_ && awaited ? *prune_at_ + patience : prune_at_;
}

Result<void> RecordMaintenance::run_slice(Record& record, const Now& now, bool busy) {
    if (record.wal_has(busy ? most_wal_pages : wal_pages)) record.checkpoint();
    if (!prune_at_ || now.steady < *prune_at_ + (busy ? patience : Instant{0})) return {};
    return prune(record, now);
}

Result<void> RecordMaintenance::prune(Record& record, const Now& now) {
    const auto more = record.prune(now.wall, tolerance_, rows_a_slice);
    if (more && *more) return {};  // still due
    prune_at_.reset();
    if (!more || record.has_tags()) plan(now.steady);
    if (!more) return tl::unexpected(more.error());
    return {};
}

}  // namespace oneknock

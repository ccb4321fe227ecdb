#include "server/gatekeeper/record/maintenance.hpp"

#include <algorithm>

namespace oneknock {

void RecordMaintenance::plan(Instant now) {
    if (!prune_at_) prune_at_ = now + tolerance_ + Seconds{1};
}

std::optional<Instant> RecordMaintenance::next_due(const Audit& audit, Instant now, bool awaited) const {
    if (!awaited && audit.wal_has(wal_pages)) return now;
    return prune_at_ && awaited ? *prune_at_ + patience : prune_at_;
}

Result<void> RecordMaintenance::run_slice(Record& record, Audit& audit, const Now& now, bool busy) {
    if (audit.wal_has(busy ? most_wal_pages : wal_pages)) audit.checkpoint();
    if (!prune_at_ || now.steady < *prune_at_ + (busy ? patience : Instant{0})) return {};
    return prune(record, audit, now);
}

// With the record's file last, once, when all that is stale is forgotten: a failure is met again a tolerance later.
Result<void> RecordMaintenance::prune(Record& record, Audit& audit, const Now& now) {
    const bool more_tags = record.prune(now.wall, tolerance_, tags_a_slice);
    const auto more_lines = audit.prune(now.wall, lines_a_slice);
    if (more_lines && (more_tags || *more_lines)) return {};  // still due
    prune_at_.reset();
    const auto renewed = record.wants_renewal(now.steady) ? record.renew(now.steady) : Result<void>{};
    if (record.has_tags() || record.is_closed(now.steady) || !more_lines || !renewed) plan(now.steady);
    return more_lines ? renewed : tl::unexpected(more_lines.error());
}

}  // namespace oneknock

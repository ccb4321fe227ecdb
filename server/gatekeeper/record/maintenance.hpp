// When the record and the audit are tended: old tags and lines are forgotten, the record's file is written anew, the
// audit's log is folded into its file. That takes the disk's time, so it comes in slices, in turns of the loop in which
// no knock waits; and all the same when knocks never cease.
#pragma once

#include <cstddef>
#include <optional>

#include "common/clock.hpp"
#include "server/gatekeeper/record/audit.hpp"
#include "server/gatekeeper/record/record.hpp"

namespace oneknock {

class RecordMaintenance {
public:
    explicit RecordMaintenance(Seconds tolerance) : tolerance_(tolerance) {}

    // Something was filed, or may be there to forget: its turn comes when it is stale.
    void plan(Instant now);
    // When run_slice() is to be called next, at the latest. `awaited`: a knock waits for the firewall, whose answer
    // will wake us.
    [[nodiscard]] std::optional<Instant> next_due(const Audit& audit, Instant now, bool awaited) const;

    // A slice of what is due. `busy`: a knock waits for the firewall, or more may come at this moment.
    [[nodiscard]] Result<void> run_slice(Record& record, Audit& audit, const Now& now, bool busy);

private:
    static constexpr std::size_t tags_a_slice = 5000;    // less than a millisecond
    static constexpr std::int64_t lines_a_slice = 100;   // likewise, and a commit
    static constexpr std::size_t wal_pages = 250;        // 1 MB, some 50 knocks: then it is folded in
    static constexpr std::size_t most_wal_pages = 2000;  // likewise, however busy
    static constexpr Instant patience = Seconds{1};      // with pruning, while knocks come
    [[nodiscard]] Result<void> prune(Record& record, Audit& audit, const Now& now);

    Seconds tolerance_;
    std::optional<Instant> prune_at_;
};

}  // namespace oneknock

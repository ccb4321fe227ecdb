// What the record forgets, a slice at a time.
#include <algorithm>

#include "common/fd.hpp"
#include "server/gatekeeper/record/record.hpp"

namespace oneknock {
namespace {

// Tags lie side by side; a line of the audit leaves one page of its client's behind as well.
constexpr std::int64_t tags_for_a_line = 5;

}  // namespace

Result<bool> Record::prune(UnixTime now, Seconds tolerance, std::int64_t rows) {
    const UnixTime stale_before = now - tolerance;  // time + tolerance < now: refused as stale from now on
    begin();
    bool more = false;
    const auto newest = forget_tags(stale_before, rows, more);
    note(Statement(delete_closes_).bind(stale_before).bind(rows).done());
    forget_lines(now - audit_kept, std::max<std::int64_t>(1, rows / tags_for_a_line), more);
    if (const auto committed = commit(); !committed) return tl::unexpected(committed.error());
    if (newest) floor_ = std::max(floor_, *newest);
    return more;
}

// The oldest ones; the time of the newest of them.
std::optional<UnixTime> Record::forget_tags(UnixTime stale_before, std::int64_t rows, bool& more) {
    std::int64_t found = 0;
    UnixTime time{};
    std::string tag;
    {
        Statement find(find_stale_);
        for (find.bind(stale_before).bind(rows); find.row(); ++found) {
            time = find.time(0);
            tag = find.bytes(1);
            count(find.text(2), {-1, 0});
        }
        note(!find.failed());
    }
    if (found == 0) return std::nullopt;
    more = more || found == rows;
    // The floor follows what is forgotten, not the clock: a clock that jumped ahead locks nobody out for good.
    note(Statement(put_floor_).bind(time).done());
    note(Statement(delete_stale_).bind(time).bind(as_bytes(tag)).done());
    return time;
}

void Record::forget_lines(UnixTime before, std::int64_t rows, bool& more) {
    const auto run = [&](Statement& doomed) {
        std::int64_t gone = 0;
        for (; doomed.row(); ++gone) count(doomed.text(0), {0, -1});
        note(!doomed.failed());
        more = more || gone == rows;
    };
    run(Statement(delete_old_).bind(before).bind(rows));
    if (all_.lines > most_lines) run(Statement(delete_first_).bind(std::min(rows, all_.lines - most_lines)));
    if (too_many_lines_.empty()) return;
    const std::string client = *too_many_lines_.begin();
    const std::int64_t excess = share_of(client).lines - most_lines_per_client;
    if (excess > 0) run(Statement(delete_of_client_).bind(client).bind(std::min(rows, excess)));
    if (excess <= rows) too_many_lines_.erase(client);
    more = more || !too_many_lines_.empty();
}

}  // namespace oneknock

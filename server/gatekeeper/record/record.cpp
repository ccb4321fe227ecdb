#include "server/gatekeeper/record/record.hpp"

#include <algorithm>

namespace oneknock {
namespace {

// Tags lie side by side; a line of the audit leaves one page of its client's behind as well.
constexpr std::int64_t tags_for_a_line = 5;

}  // namespace

void Record::note(bool succeeded) {
    if (succeeded || failed_) return;
    failed_ = true;
    first_problem_ = db_.problem();
}

bool Record::holds(const Tag& tag, UnixTime time) {
    Statement find(find_tag_);
    const bool found = find.bind(time).bind(ByteSpan(tag.bytes)).row();
    note(!find.failed());
    return found || find.failed();
}

std::optional<UnixTime> Record::client_floor(std::string_view client) {
    Statement find(find_client_floor_);
    const bool found = find.bind(client).row();
    note(!find.failed());
    if (find.failed()) return UnixTime::max();
    return found ? std::optional(find.time(0)) : std::nullopt;
}

std::optional<UnixTime> Record::last_close(std::string_view client, const Service& service) {
    Statement find(find_close_);
    const bool found = find.bind(client).bind(service.protocol).bind(service.port).row();
    note(!find.failed());
    if (find.failed()) return UnixTime::max();
    return found ? std::optional(find.time(0)) : std::nullopt;
}

Record::Share Record::share_of(std::string_view client) const {
    const auto found = shares_.find(client);
    return found == shares_.end() ? Share{} : found->second;
}

void Record::count(std::string_view client, const Share& more) {
    auto found = shares_.find(client);
    if (found == shares_.end()) found = shares_.emplace(client, Share{}).first;
    for (Share* share : {&found->second, &all_}) {
        share->tags += more.tags;
        share->lines += more.lines;
    }
    if (found->second.lines > most_lines_per_client) too_many_lines_.emplace(client);
    if (in_turn_) counted_.emplace_back(client, more);
}

void Record::begin() {
    failed_ = false;
    in_turn_ = true;
    counted_.clear();
    note(db_.run("BEGIN IMMEDIATE"));
}

void Record::add_tag(const Tag& tag, UnixTime time, std::string_view client) {
    Statement insert(insert_tag_);
    note(insert.bind(ByteSpan(tag.bytes)).bind(time).bind(client).done());
    count(client, {1, 0});
}

void Record::raise_client_floor(std::string_view client, UnixTime floor) {
    Statement put(put_client_floor_);
    note(put.bind(client).bind(floor).done());
}

void Record::set_last_close(std::string_view client, const Service& service, UnixTime time) {
    Statement put(put_close_);
    note(put.bind(client).bind(service.protocol).bind(service.port).bind(time).done());
}

void Record::audit(const AuditEntry& entry) {
    Statement insert(insert_audit_);
    insert.bind(entry.when).bind(entry.client).bind(entry.generation).bind(entry.source.text());
    insert.bind(operation_name(entry.request.operation))
        .bind(protocol_name(entry.request.protocol))
        .bind(entry.request.port);
    insert.bind(entry.address.text())
        .bind(entry.duration.count())
        .bind(entry.decision)
        .bind(entry.reason)
        .bind(entry.door_generation);
    note(insert.done());
    count(entry.client, {0, 1});
}

Result<void> Record::commit() {
    if (!failed_) note(db_.run("COMMIT"));
    in_turn_ = false;
    if (!failed_) return {};
    static_cast<void>(db_.run("ROLLBACK"));
    for (const auto& [client, more] : counted_) count(client, {-more.tags, -more.lines});
    return fail(ExitCode::cannot_create, "cannot write the replay record: " + first_problem_);
}

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

Record::ClientUses Record::uses_of(std::string_view client, UnixTime since) {
    ClientUses uses;
    Statement find(find_uses_);
    find.bind(client).bind(since);
    while (find.row())
        for (const int first_or_last : {2, 3}) {
            const UnixTime when = find.time(first_or_last);
            note_use(uses.of_key, static_cast<std::uint32_t>(find.integer(0)), when);
            if (find.integer(1) > 0) note_use(uses.of_door, static_cast<std::uint32_t>(find.integer(1)), when);
        }
    return uses;
}

Record::Holders Record::holders(UnixTime now) {
    constexpr Seconds longest_grant{65535};
    Holders holders;
    Statement find(find_holders_);
    find.bind(now - longest_grant).bind(now);
    while (find.row()) {
        const auto service = Service::parse(find.text(1) + "/" + std::to_string(find.integer(2)));
        const auto address = Address::parse(find.text(3));
        if (service && address) holders.insert_or_assign({*address, *service}, find.text(0));
    }
    return holders;
}

}  // namespace oneknock

#include "server/gatekeeper/record/record.hpp"

namespace oneknock {

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

#include "server/gatekeeper/record/record.hpp"

#include <algorithm>
#include <ranges>

namespace oneknock {
namespace {

// A file with fewer entries is not worth writing anew.
constexpr std::uint64_t entries_worth_renewal = 4096;

JournalEntry entry_of(EntryKind kind, const ClientGrant& grant, Instant end = {}) {
    JournalEntry entry;
    entry.kind = kind;
    entry.client = grant.client;
    entry.service = grant.service;
    entry.address = grant.address;
    entry.end = end;
    return entry;
}

ClientGrant grant_of(const JournalEntry& entry) { return {entry.service, entry.address, entry.client}; }

template <class Map, class Key>
std::optional<typename Map::mapped_type> find_in(const Map& map, const Key& key) {
    const auto found = map.find(key);
    return found == map.end() ? std::nullopt : std::optional(found->second);
}

// Raises the time of the key; what takes that back.
template <class Map>
std::function<void()> raise(Map& map, const typename Map::key_type& key, UnixTime to) {
    const auto before = find_in(map, key);
    map[key] = std::max(to, before.value_or(to));
    return [&map, key, before] {
        if (before) map[key] = *before;
        else map.erase(key);
    };
}

}  // namespace

bool Record::holds(const Tag& tag, UnixTime time) const { return tags_.contains({time, tag.bytes}); }

std::optional<UnixTime> Record::client_floor(std::string_view client) const { return find_in(client_floors_, client); }

std::optional<UnixTime> Record::last_close(std::string_view client, const Service& service) const {
    return find_in(closes_, std::pair(std::string(client), service));
}

std::size_t Record::tags_of(std::string_view client) const { return find_in(tag_counts_, client).value_or(0); }

void Record::begin() {
    in_turn_ = true;
    turn_.clear();
    undo_.clear();
}

void Record::add_tag(const Tag& tag, UnixTime time, std::string_view client) {
    JournalEntry entry;
    entry.client = client;
    entry.time = time;
    entry.tag = tag;
    add(std::move(entry), {});
}

void Record::add_tag_and_grant(const Tag& tag, UnixTime time, const ClientGrant& grant, Instant end, Instant now) {
    JournalEntry entry = entry_of(EntryKind::used, grant, end);
    entry.time = time;
    entry.tag = tag;
    add(std::move(entry), now);
}

void Record::close(const ClientGrant& grant, UnixTime time, Instant now) {
    JournalEntry entry = entry_of(EntryKind::closed, grant);
    entry.time = time;
    add(std::move(entry), now);
}

void Record::end(const ClientGrant& grant, Instant now) { add(entry_of(EntryKind::ended, grant), now); }

void Record::raise_client_floor(std::string_view client, UnixTime floor) {
    JournalEntry entry;
    entry.kind = EntryKind::client_floor;
    entry.client = client;
    entry.time = floor;
    add(std::move(entry), {});
}

void Record::add(JournalEntry entry, Instant now) {
    apply(entry, now);
    turn_.push_back(std::move(entry));
}

void Record::apply(const JournalEntry& entry, Instant now) {
    switch (entry.kind) {
        case EntryKind::used: put_tag(entry); [[fallthrough]];
        case EntryKind::granted:
            if (entry.end != Instant{}) put_grant(grant_of(entry), entry.end, now);
            break;
        case EntryKind::closed:
            undo_.push_back(raise(closes_, {entry.client, entry.service}, entry.time));
            put_grant(grant_of(entry), std::nullopt, now);
            break;
        case EntryKind::ended: put_grant(grant_of(entry), std::nullopt, now); break;
        case EntryKind::client_floor: undo_.push_back(raise(client_floors_, entry.client, entry.time)); break;
    }
}

void Record::put_tag(const JournalEntry& entry) {
    const TagKey key{entry.time, entry.tag.bytes};
    if (!tags_.emplace(key, entry.client).second) return;
    ++tag_counts_[entry.client];
    undo_.push_back([this, key, client = entry.client] {
        tags_.erase(key);
        uncount_tag(client);
    });
}

// No end: the grant is taken away.
void Record::put_grant(const ClientGrant& grant, std::optional<Instant> end, Instant now) {
    const auto before = grants_.noted_end(grant, now);
    const auto set = [this, grant, now](std::optional<Instant> to) {
        if (to) grants_.put(grant, *to, now);
        else grants_.erase(grant, now);
    };
    set(end);
    undo_.push_back([set, before] { set(before); });
}

Result<void> Record::commit() {
    in_turn_ = false;
    const bool written =
        turn_.empty() || (journal_.must_be_renewed() ? write_anew(closed_until_) : journal_.append(turn_));
    if (!written)
        for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) (*undo)();
    undo_.clear();
    if (written) return {};
    return fail(ExitCode::cannot_create, "cannot write the replay record: " + journal_.problem());
}

bool Record::prune(UnixTime now, Seconds tolerance, std::size_t most) {
    const UnixTime stale_before = now - tolerance;  // time + tolerance < now: refused as stale from now on
    // The floor follows what is forgotten, not the clock: a clock that jumped ahead locks nobody out for good.
    for (std::size_t count = 0; !tags_.empty() && tags_.begin()->first.first < stale_before; ++count) {
        if (count == most) return true;
        const auto oldest = tags_.begin();
        floor_ = std::max(floor_, oldest->first.first);
        uncount_tag(oldest->second);
        tags_.erase(oldest);
    }
    std::erase_if(client_floors_, [&](const auto& entry) {
        if (entry.second >= stale_before) return false;
        floor_ = std::max(floor_, entry.second);
        return true;
    });
    std::erase_if(closes_, [&](const auto& entry) { return entry.second < stale_before; });
    return false;
}

void Record::uncount_tag(const std::string& client) {
    const auto counted = tag_counts_.find(client);
    if (--counted->second == 0) tag_counts_.erase(counted);
}

bool Record::wants_renewal(Instant now) const {
    if (journal_.must_be_renewed() || (closed_until_ && !is_closed(now))) return true;
    const std::uint64_t live = tags_.size() + closes_.size() + client_floors_.size() + grants_.size();
    return journal_.count() > std::max(entries_worth_renewal, 2 * live);
}

Result<void> Record::renew(Instant now) {
    grants_.drop_past(now);
    if (!write_anew(is_closed(now) ? closed_until_ : std::nullopt))
        return fail(ExitCode::cannot_create, "cannot write the replay record anew: " + journal_.problem());
    if (!is_closed(now)) closed_until_.reset();
    return {};
}

bool Record::write_anew(std::optional<Instant> closed_until) {
    if (!journal_.renew({serial_ + 1, floor_, closed_until.value_or(Instant{}), boot_}, live_entries())) return false;
    ++serial_;
    return true;
}

std::vector<JournalEntry> Record::live_entries() const {
    std::vector<JournalEntry> entries;
    for (const auto& [key, client] : tags_) {
        entries.emplace_back().client = client;
        entries.back().time = key.first;
        entries.back().tag.bytes = key.second;
    }
    for (const auto& [client, time] : client_floors_) {
        entries.emplace_back().client = client;
        entries.back().kind = EntryKind::client_floor;
        entries.back().time = time;
    }
    for (const auto& [key, time] : closes_) {
        entries.push_back(entry_of(EntryKind::closed, {key.second, {}, key.first}));
        entries.back().time = time;
    }
    for (const auto& [grant, end] : grants_.all()) entries.push_back(entry_of(EntryKind::granted, grant, end));
    return entries;
}

}  // namespace oneknock

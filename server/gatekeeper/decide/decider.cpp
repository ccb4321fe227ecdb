#include "server/gatekeeper/decide/decider.hpp"

#include <algorithm>
#include <utility>

namespace oneknock {
namespace {

bool is_allowed(const Client& client, const Door& door, const Service& service) {
    return std::ranges::any_of(client.allow, [&](const std::string& name) {
        const auto found = door.services.find(name);
        return found != door.services.end() && found->second == service;
    });
}

// The client's own name, and those of other files with its key.
template <class Sharing, class Look>
void for_each_with_its_key(const Sharing& sharing, const std::string& client, Look look) {
    look(client);
    if (const auto shared = sharing.find(client); shared != sharing.end()) std::ranges::for_each(shared->second, look);
}

bool has_expired(const Client& client, UnixTime now) { return client.expires && now > *client.expires; }

AuditEntry audit_entry(const Decision& decision, UnixTime when) {
    return {when,
            decision.client,
            decision.generation,
            decision.source,
            decision.address,
            decision.request,
            decision.duration,
            decision.refused ? "refused" : "accepted",
            decision.refused ? std::string(reason_name(*decision.refused)) : std::string(),
            decision.door_generation};
}

}  // namespace

std::vector<Decision> Decider::decide_and_record(const std::vector<Candidate>& candidates, const Now& now) {
    auto decisions = decide(candidates, now);
    make_durable(decisions, now);
    note_for_audit(decisions, now);
    static_cast<void>(write_audit());
    return decisions;
}

std::vector<Decision> Decider::decide(const std::vector<Candidate>& candidates, const Now& now) {
    std::vector<Decision> decisions;
    decisions.reserve(candidates.size());
    for (const Candidate& candidate : candidates) decisions.push_back(decide_one(candidate, now));
    return decisions;
}

void Decider::make_durable(std::vector<Decision>& decisions, const Now& now) {
    if (!record_.in_turn()) return;
    const auto committed = record_.commit();
    if (committed) return note_uses(decisions, now.wall);
    record_problem_ = committed.error().message;
    for (Decision& decision : decisions)
        if (decision.verified && !decision.refused) decision.refused = Reason::record_failed;
}

void Decider::note_for_audit(const std::vector<Decision>& decisions, const Now& now) {
    for (const Decision& decision : decisions)
        if (decision.in_record) unwritten_.push_back(audit_entry(decision, now.wall));
}

Result<void> Decider::write_audit() {
    auto written = audit_.write(unwritten_);
    if (written || unwritten_.size() > most_unwritten_lines) unwritten_.clear();
    return written;
}

void Decider::note_uses(const std::vector<Decision>& decisions, UnixTime now) {
    Keyring& keyring = verifier_.keyring();
    for (const Decision& decision : decisions)
        if (decision.verified && !decision.refused)
            uses_.note(keyring, *find_client(keyring, decision.client), decision.generation, decision.door_generation,
                       now);
}

PreparedClient Decider::prepare(Client client) {
    uses_.look_up(client, verifier_.keyring().door, audit_);
    return prepare_client(std::move(client), verifier_.epochs());
}

void Decider::change_keys(KeyChange& change) {
    const auto epochs = verifier_.epochs();
    const bool may_end_door = change.door || !change.gone.empty();
    uses_.forget(change.gone);
    verifier_.change(change);
    verifier_.set_epochs(epochs);
    uses_.take_in_what_was_looked_up(verifier_.keyring(), may_end_door);
}

const Client* Decider::find(const std::string& client) const { return find_client(verifier_.keyring(), client); }

Seconds Decider::longest_for(const std::string& client, const Service& service, UnixTime now) const {
    Seconds longest = Seconds::max();
    for_each_with_its_key(verifier_.sharing(), client, [&](const std::string& name) {
        longest = std::min(longest, longest_by(name, service, now));
    });
    return longest;
}

Seconds Decider::longest_by(const std::string& client, const Service& service, UnixTime now) const {
    const Client* found = find(client);
    const bool may = found != nullptr && !found->revoked && !has_expired(*found, now) &&
                     is_allowed(*found, verifier_.keyring().door, service);
    return may ? std::min(found->max_duration, limits_.grant_maximum) : Seconds{0};
}

std::optional<UnixTime> Decider::expiry_of(const std::string& client) const {
    std::optional<UnixTime> first;
    for_each_with_its_key(verifier_.sharing(), client, [&](const std::string& name) {
        const Client* found = find(name);
        if (found != nullptr && found->expires) first = std::min(*found->expires, first.value_or(*found->expires));
    });
    return first;
}

Decision Decider::decide_one(const Candidate& candidate, const Now& now) {
    Decision decision;
    decision.source = candidate.source;
    decision.first_packet_ns = candidate.first_packet_ns;
    std::vector<Verifier::Match> matches;
    if (accepts_door_generation(candidate.door_generation, now.wall))
        matches = verifier_.verify(candidate.message, Epoch{candidate.epoch});
    if (matches.empty()) {
        decision.refused = Reason::unknown_key;
        return decision;
    }
    const Verifier::Match& match = strictest(matches, candidate, now);
    decision.verified = true;
    decision.client = match.client->name;
    decision.generation = match.generation->number;
    decision.door_generation = candidate.door_generation;
    decision.request = match.request;
    decision.skew = match.request.made_at() - now.wall;
    const auto address = match.client->source.permitted_address(match.request.address, candidate.source);
    decision.address = address.value_or(match.request.address);

    decision.refused = refusal_before_record(match, candidate, now, address);
    // From the right address it is recorded whatever becomes of it; from a wrong one never, or a racing copy would burn
    // the real one. A message of another hour than its book's is good in none, and its time may be years ahead.
    if (address && decision.refused != Reason::wrong_epoch)
        record_and_refuse(match, candidate.message.tag(), now, decision);
    return decision;
}

// A key that several files hold opens what all of them let it open: one that refuses decides, else the one that lets it
// open for the shortest time.
const Verifier::Match& Decider::strictest(const std::vector<Verifier::Match>& matches, const Candidate& candidate,
                                          const Now& now) const {
    const auto refuses = [&](const Verifier::Match& match) {
        const auto address = match.client->source.permitted_address(match.request.address, candidate.source);
        return refusal_before_record(match, candidate, now, address) ||
               !is_allowed(*match.client, verifier_.keyring().door, match.request.service());
    };
    if (matches.size() == 1) return matches.front();
    const auto found = std::ranges::find_if(matches, refuses);
    if (found != matches.end()) return *found;
    return *std::ranges::min_element(matches, {}, [](const auto& match) { return match.client->max_duration; });
}

// Whether the door still has the secret that the candidate was read with: the listener may not have been told yet.
bool Decider::accepts_door_generation(std::uint32_t door_generation, UnixTime now) const {
    const auto& generations = verifier_.keyring().door.generations;
    const auto found = std::ranges::find(generations, door_generation, &Generation::number);
    return found != generations.end() && !has_ended(*found, now - limits_.tolerance);
}

void Decider::record_and_refuse(const Verifier::Match& match, const Tag& tag, const Now& now, Decision& decision) {
    if (!record_.in_turn()) record_.begin();
    const auto by_record = refusal_by_record(match, tag, now.steady);
    if (!decision.refused) decision.refused = by_record;
    if (by_record == Reason::replayed) return;
    if (match.request.made_at() + limits_.tolerance < now.wall) return;  // stale
    if (!decision.refused) decision.refused = refusal_by_policy(match, decision, now.steady);
    const bool has_share = record_.tags_of(match.client->name) < Record::most_tags_per_client;
    const bool calm = rates_[decision.client].try_take(knocks_per_client, now.steady);
    decision.in_record = has_share && calm;
    if (!decision.refused && !decision.in_record) decision.refused = Reason::rate_limited;
    add_to_record(match, tag, now, decision);
}

std::optional<Reason> Decider::refusal_before_record(const Verifier::Match& match, const Candidate& candidate,
                                                     const Now& now, const std::optional<Address>& address) const {
    const UnixTime time = match.request.made_at();
    if (epoch_of(time).value != candidate.epoch) return Reason::wrong_epoch;
    if (match.client->revoked) return Reason::key_revoked;
    if (!is_in_force(*match.generation, now.wall, limits_.tolerance) || has_expired(*match.client, now.wall))
        return Reason::key_expired;
    if (now.wall - time > limits_.tolerance) return Reason::stale;
    if (time - now.wall > limits_.tolerance) return Reason::future;
    if (!address) return Reason::address_mismatch;
    return std::nullopt;
}

// Of a record that was lost nobody knows what was in it: until the window behind that has passed, nothing is accepted.
std::optional<Reason> Decider::refusal_by_record(const Verifier::Match& match, const Tag& tag, Instant now) const {
    const UnixTime time = match.request.made_at();
    if (record_.holds(tag, time)) return Reason::replayed;
    if (record_.is_closed(now)) return Reason::record_lost;
    const UnixTime floor =
        std::max(record_.floor(), record_.client_floor(match.client->name).value_or(UnixTime::min()));
    return time <= floor ? std::optional(Reason::replayed) : std::nullopt;  // its tag may have been forgotten
}

std::optional<Reason> Decider::refusal_by_policy(const Verifier::Match& match, const Decision& decision, Instant now) {
    const Request& request = match.request;
    if (!request.is_open() && !request.is_close()) return Reason::unknown_operation;
    if (!is_allowed(*match.client, verifier_.keyring().door, request.service())) return Reason::service_not_allowed;
    if (!request.is_open()) return std::nullopt;
    const auto closed = record_.last_close(match.client->name, request.service());
    if (closed && request.made_at() < *closed) return Reason::closed_since;
    HeldGrants& held = record_.grants();
    if (!held.has_room_for(decision.grant(), now)) return Reason::rate_limited;
    if (held.would_bring_flows(decision.grant(), now) &&
        !flow_rates_[match.client->name].try_take(HeldGrants::new_with_flows, now))
        return Reason::rate_limited;
    return std::nullopt;
}

// If the client's share of the record is full, its own floor rises instead, as far as our clock allows, so that a
// message that was not recorded cannot be played back either.
void Decider::add_to_record(const Verifier::Match& match, const Tag& tag, const Now& now, Decision& decision) {
    const std::string& client = match.client->name;
    const UnixTime time = match.request.made_at();
    if (record_.tags_of(client) >= Record::most_tags_per_client) {
        const UnixTime floor = std::min(time, now.wall + limits_.tolerance);
        if (record_.client_floor(client).value_or(UnixTime::min()) < floor) record_.raise_client_floor(client, floor);
        return;
    }
    if (decision.refused) return record_.add_tag(tag, time, client);
    set_ends(match, now.steady, decision);
    if (match.request.is_open())
        return record_.add_tag_and_grant(tag, time, decision.grant(), decision.ends, now.steady);
    record_.add_tag(tag, time, client);
    record_.close(decision.grant(), time, now.steady);
}

// Opening for a shorter time than is left does not shorten: closing does.
void Decider::set_ends(const Verifier::Match& match, Instant now, Decision& decision) {
    decision.ended_before = record_.grants().noted_end(decision.grant(), now);
    if (!match.request.is_open()) return;
    const Seconds asked = match.request.duration_s == 0 ? limits_.grant_default : Seconds{match.request.duration_s};
    decision.duration = std::min({asked, match.client->max_duration, limits_.grant_maximum});
    decision.ends = std::max(now + decision.duration, decision.ended_before.value_or(now));
}

}  // namespace oneknock

#include "server/gatekeeper/grants/grant_requests.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/log.hpp"

namespace oneknock {
namespace {

// However many there are: what takes away is never dropped.
constexpr std::size_t longest_queue = 2 * HeldGrants::Map::capacity;

std::uint32_t remaining(std::optional<Instant> end, Instant now) { return end ? milliseconds_until(*end, now) : 0; }

}  // namespace

// --- the grants of earlier runs -----------------------------------------------------------------------------------

void GrantRequests::begin_adoption(Instant now) {
    end_in_record(hold_to_keys(now).not_allowed, now);
    const ClientGrant* last = nullptr;
    const auto remembered = record_.grants().remembered(now);
    for (const auto& [grant, end] : remembered) {
        if (end > now) to_be_adopted_.insert(grant);
        if (last != nullptr && element_of(*last) == element_of(grant)) continue;
        last = &grant;
        RecordedGrant recorded;
        recorded.service = grant.service;
        recorded.address = grant.address;
        recorded.remaining_ms = remaining(record_.grants().latest_end(grant.service, grant.address, now), now);
        recorded.flows_ms = remaining(record_.grants().latest_end_of_flows(grant.service, grant.address, now), now);
        parent_.send(recorded, longest_queue);
    }
}

void GrantRequests::adopt(const AdoptedGrant& adopted, Instant now) {
    const Instant end = now + std::chrono::milliseconds{adopted.remaining_ms};
    const Element element{adopted.service, adopted.address};
    auto holder = to_be_adopted_.lower_bound({element.service, element.address, ""});
    while (holder != to_be_adopted_.end() && element_of(*holder) == element) {
        if (const auto recorded = record_.grants().end_of(*holder, now); recorded && end < *recorded)
            record_.grants().put(*holder, end, now);
        holder = to_be_adopted_.erase(holder);
    }
}

void GrantRequests::end_adoption(Instant now) {
    for (const ClientGrant& grant : to_be_adopted_) {
        const auto end = record_.grants().end_of(grant, now);
        record_.grants().end_now(grant, now);
        // What was asked for meanwhile, for others, was asked for until this one's end as well.
        const Element element = element_of(grant);
        if (end && asked_.contains(element)) ask_to_close({{grant, end, std::nullopt}}, std::nullopt, element, now);
    }
    to_be_adopted_.clear();
}

// --- knocks ---------------------------------------------------------------------------------------------------------

bool GrantRequests::request(const Decision& decision, const KnockMoments& moments, Instant now) {
    const Element element{decision.request.service(), decision.address};
    const GrantRequest request = change(element, now);
    if (!parent_.send(request)) {
        undo(element, {{change_by(decision)}, !asked_.contains(element)}, now);
        return false;
    }
    to_be_adopted_.erase(decision.grant());
    note(element, request.id, {change_by(decision)});
    requests_.emplace(request.id, Knock{decision, moments});
    return true;
}

std::vector<ClientGrant> GrantRequests::end_displaced(const ClientGrant& grant, Instant now) {
    auto displaced = record_.grants().displaced_by(grant, now);
    std::vector<Held> held;
    for (const ClientGrant& one : displaced) held.push_back({one, record_.grants().noted_end(one, now).value_or(now)});
    close(held, std::nullopt, now);
    return displaced;
}

std::optional<GrantRequests::Knock> GrantRequests::answer_to_knock(const GrantReply& reply, Instant now) {
    const auto found = requests_.find(reply.id);
    if (found == requests_.end()) return std::nullopt;
    Knock knock = std::move(requests_.extract(found).mapped());
    const bool opens = knock.decision.request.is_open();
    const bool is_too_late = reply.error == 0 && opens && Instant{reply.done_ns} >= knock.decision.ends;
    knock.error = is_too_late ? ETIME : reply.error;
    settle(element_of(knock.decision.grant()), reply, now);
    return knock;
}

GrantRequests::Change GrantRequests::change_by(const Decision& decision) {
    const bool opens = decision.request.is_open();
    return {decision.grant(), decision.ended_before, opens ? std::optional(decision.ends) : std::nullopt};
}

void GrantRequests::note(const Element& element, RequestId id, Changes changes) {
    auto& asked = asked_[element];
    asked.emplace(id, Asked{std::move(changes), asked.empty()});
}

void GrantRequests::settle(const Element& element, const GrantReply& reply, Instant now) {
    auto& asked = asked_[element];
    auto answered = asked.extract(reply.id);
    const auto next = asked.upper_bound(reply.id);
    std::optional<Asked> refused;
    if (reply.error != 0 && !answered.empty()) {
        Changes& changes = answered.mapped().changes;
        // The kernel that did not answer in time may have opened it: it stays listed, so that it can be revoked.
        if (reply.error == ETIMEDOUT) std::erase_if(changes, [](const Change& one) { return one.after.has_value(); });
        if (next == asked.end()) refused = std::move(answered.mapped());
        else next->second.changes.insert(next->second.changes.begin(), changes.begin(), changes.end());
    }
    if (asked.empty()) asked_.erase(element);
    if (refused) undo(element, *refused, now);
}

// What is decided in one turn is asked for together: a request before this one may have opened what is undone now.
void GrantRequests::undo(const Element& element, const Asked& refused, Instant now) {
    Changes to_be_closed;
    for (auto one = refused.changes.rbegin(); one != refused.changes.rend(); ++one) {
        undo(*one, now);
        if (one->after) to_be_closed.push_back({one->grant, one->after, std::nullopt});
    }
    if (refused.alone || to_be_closed.empty()) return;
    ask_to_close(to_be_closed, std::nullopt, element, now);
}

// Unless something else has become of the grant since. One that was not closed may be open still.
void GrantRequests::undo(const Change& change, Instant now) {
    HeldGrants& grants = record_.grants();
    const auto present = grants.noted_end(change.grant, now);
    const bool is_as_changed = change.after ? present == change.after : !present || present <= change.before;
    if (!is_as_changed) return;
    if (change.before) grants.put(change.grant, *change.before, now);
    else grants.erase(change.grant, now);
}

GrantRequest GrantRequests::change(const Element& element, Instant now) {
    const auto& [service, address] = element;
    GrantRequest request;
    request.id = next_id_++;
    request.asked_ns = now.count();
    request.service = service;
    request.address = address;
    request.duration_ms = remaining(record_.grants().latest_end(service, address, now), now);
    request.flows_ms = remaining(record_.grants().latest_end_of_flows(service, address, now), now);
    request.operation = request.duration_ms > 0 || request.flows_ms > 0 ? Operation::open : Operation::close;
    return request;
}

// --- what takes away ------------------------------------------------------------------------------------------------

std::vector<GrantRequests::Held> GrantRequests::held_by(const std::string& client, Instant now) {
    std::vector<Held> held;
    for (const auto& [grant, end] : record_.grants().remembered(now))
        if (client.empty() || grant.client == client) held.push_back({grant, end});
    return held;
}

// A grant on its way to be closed may be open, and be listed again.
std::vector<GrantRequests::Held> GrantRequests::held_or_being_closed(const std::string& client, Instant now) {
    std::map<ClientGrant, Instant> ends;
    for (const auto& [grant, end] : held_by(client, now)) ends[grant] = end;
    for (const auto& [element, requests] : asked_)
        for (const auto& [id, asked] : requests)
            for (const Change& one : asked.changes)
                if (!one.after && one.before && (client.empty() || one.grant.client == client))
                    ends[one.grant] = std::max(ends[one.grant], *one.before);
    std::vector<Held> held;
    for (const auto& [grant, end] : ends) held.push_back({grant, end});
    return held;
}

// In memory alone: a later start shortens likewise.
GrantRequests::Excess GrantRequests::hold_to_keys(Instant now) {
    Excess excess;
    for (const Held& held : held_by("", now)) {
        const Seconds longest = allowed_(held.grant.client, held.grant.service);
        if (longest == Seconds{0}) excess.not_allowed.push_back(held);
        if (longest == Seconds{0} || held.end <= now + longest) continue;
        record_.grants().put(held.grant, now + longest, now);
        excess.shortened.push_back(held);
    }
    return excess;
}

std::size_t GrantRequests::revoke(const std::string& client, RequestId waiter, Instant now) {
    const auto grants = held_or_being_closed(client, now);
    if (grants.empty()) return 0;
    const Closing closing = close(grants, waiter, now);
    revocations_[waiter] = {.waiter = waiter,
                            .awaited = closing.requests,
                            .closed = grants.size(),
                            .failed = false,
                            .recorded = closing.recorded};
    return grants.size();
}

std::size_t GrantRequests::close_what_is_no_longer_allowed(Instant now) {
    const Excess excess = hold_to_keys(now);
    close(excess.not_allowed, std::nullopt, now);
    for (const auto& [grant, end] : excess.shortened)
        ask_to_close({{grant, end, std::nullopt}}, std::nullopt, element_of(grant), now);
    return excess.not_allowed.size();
}

void GrantRequests::ask_to_close(const Changes& changes, std::optional<RequestId> waiter, const Element& element,
                                 Instant now) {
    const GrantRequest request = change(element, now);
    parent_.send(request, longest_queue);
    note(element, request.id, changes);
    closes_.emplace(request.id, Close{element, waiter});
}

// They end in any case: where the disk does not take it (false), in memory and in the kernel.
bool GrantRequests::end_in_record(const std::vector<Held>& grants, Instant now) {
    if (grants.empty()) return true;
    record_.begin();
    for (const Held& held : grants) record_.end(held.grant, now);
    const auto ended = record_.commit();
    if (ended) return true;
    log::error(ended.error().message +
               "; after a crash of the daemon the grants that were closed just now might be open");
    for (const Held& held : grants) record_.grants().erase(held.grant, now);
    return false;
}

GrantRequests::Closing GrantRequests::close(const std::vector<Held>& grants, std::optional<RequestId> waiter,
                                            Instant now) {
    Closing closing{.requests = 0, .recorded = end_in_record(grants, now)};
    for (std::size_t first = 0, next = 0; first < grants.size(); first = next, ++closing.requests) {
        const Element element = element_of(grants[first].grant);
        Changes changes;
        for (; next < grants.size() && element_of(grants[next].grant) == element; ++next)
            changes.push_back({grants[next].grant, grants[next].end, std::nullopt});
        ask_to_close(changes, waiter, element, now);
    }
    return closing;
}

std::optional<GrantRequests::Revocation> GrantRequests::answer_to_close(const GrantReply& reply, Instant now) {
    if (reply.error != 0)
        log::error(std::string("the firewall refused to close a grant: ") + std::strerror(reply.error));
    const auto found = closes_.find(reply.id);
    if (found == closes_.end()) return std::nullopt;
    const Close close = std::move(closes_.extract(found).mapped());
    settle(close.element, reply, now);
    if (reply.error != 0) ++failed_closes_;
    const auto revocation = close.waiter ? revocations_.find(*close.waiter) : revocations_.end();
    if (revocation == revocations_.end()) return std::nullopt;  // nobody waits for it
    revocation->second.failed = revocation->second.failed || reply.error != 0;
    if (--revocation->second.awaited > 0) return std::nullopt;
    return std::move(revocations_.extract(revocation).mapped());
}

}  // namespace oneknock

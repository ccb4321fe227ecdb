#include "server/gatekeeper/grants/grant_requests.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/log.hpp"

namespace oneknock {
namespace {

// However many there are: what takes away is never dropped.
constexpr std::size_t longest_queue = 2 * HeldGrants::Map::capacity;

bool is_same_element(const ClientGrant& a, const ClientGrant& b) {
    return a.service == b.service && a.address == b.address;
}

std::uint32_t remaining(std::optional<Instant> end, Instant now) { return end ? milliseconds_until(*end, now) : 0; }

}  // namespace

// --- the grants of earlier runs -----------------------------------------------------------------------------------

void GrantRequests::begin_adoption(Instant now) {
    end_in_record(hold_to_keys(now).not_allowed, now);
    const ClientGrant* last = nullptr;
    const auto remembered = record_.grants().remembered(now);
    for (const auto& [grant, end] : remembered) {
        if (end > now) to_be_adopted_.insert(grant);
        if (last != nullptr && is_same_element(*last, grant)) continue;
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
    auto holder = to_be_adopted_.lower_bound({adopted.service, adopted.address, ""});
    while (holder != to_be_adopted_.end() && is_same_element(*holder, {adopted.service, adopted.address, ""})) {
        if (const auto recorded = record_.grants().end_of(*holder, now); recorded && end < *recorded)
            record_.grants().put(*holder, end, now);
        holder = to_be_adopted_.erase(holder);
    }
}

void GrantRequests::end_adoption(Instant now) {
    for (const ClientGrant& grant : to_be_adopted_) record_.grants().end_now(grant, now);
    to_be_adopted_.clear();
}

// --- knocks ---------------------------------------------------------------------------------------------------------

bool GrantRequests::request(const Decision& decision, const KnockMoments& moments, Instant now) {
    const GrantRequest request = change(decision.request.service(), decision.address, now);
    if (!parent_.send(request)) {
        take_back(decision, now);
        return false;
    }
    to_be_adopted_.erase(decision.grant());
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
    // The kernel that did not answer in time may have opened it: it stays listed, so that it can be revoked.
    const bool may_be_open = knock.error == ETIMEDOUT && opens;
    if (knock.error != 0 && !may_be_open) take_back(knock.decision, now);
    return knock;
}

// Unless something else has become of the grant since.
void GrantRequests::take_back(const Decision& decision, Instant now) {
    HeldGrants& grants = record_.grants();
    const auto present = grants.noted_end(decision.grant(), now);
    const bool is_as_decided = decision.request.is_open() ? present && *present == decision.ends : !present.has_value();
    if (!is_as_decided) return;
    if (decision.ended_before) grants.put(decision.grant(), *decision.ended_before, now);
    else grants.erase(decision.grant(), now);
}

GrantRequest GrantRequests::change(const Service& service, const Address& address, Instant now) {
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

// In memory alone: a later start shortens likewise.
GrantRequests::Excess GrantRequests::hold_to_keys(Instant now) {
    Excess excess;
    for (const Held& held : held_by("", now)) {
        const Seconds longest = allowed_(held.grant.client, held.grant.service);
        if (longest == Seconds{0}) excess.not_allowed.push_back(held);
        if (longest == Seconds{0} || held.end <= now + longest) continue;
        record_.grants().put(held.grant, now + longest, now);
        excess.shortened.push_back(held.grant);
    }
    return excess;
}

std::size_t GrantRequests::revoke(const std::string& client, RequestId waiter, Instant now) {
    const auto grants = held_by(client, now);
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
    for (const ClientGrant& grant : excess.shortened) ask_to_close({}, grant, now);
    return excess.not_allowed.size();
}

void GrantRequests::ask_to_close(Close close, const ClientGrant& grant, Instant now) {
    const GrantRequest request = change(grant.service, grant.address, now);
    parent_.send(request, longest_queue);
    closes_.emplace(request.id, std::move(close));
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
        while (next < grants.size() && is_same_element(grants[first].grant, grants[next].grant)) ++next;
        const auto from = grants.begin() + static_cast<std::ptrdiff_t>(first);
        ask_to_close({{from, grants.begin() + static_cast<std::ptrdiff_t>(next)}, waiter}, from->grant, now);
    }
    return closing;
}

std::optional<GrantRequests::Revocation> GrantRequests::answer_to_close(const GrantReply& reply, Instant now) {
    if (reply.error != 0)
        log::error(std::string("the firewall refused to close a grant: ") + std::strerror(reply.error));
    const auto found = closes_.find(reply.id);
    if (found == closes_.end()) return std::nullopt;
    const Close close = std::move(closes_.extract(found).mapped());
    if (reply.error != 0) {  // they may be open still
        for (const auto& [grant, end] : close.ended)
            if (record_.grants().noted_end(grant, now).value_or(end) <= end) record_.grants().put(grant, end, now);
        ++failed_closes_;
    }
    const auto revocation = close.waiter ? revocations_.find(*close.waiter) : revocations_.end();
    if (revocation == revocations_.end()) return std::nullopt;  // nobody waits for it
    revocation->second.failed = revocation->second.failed || reply.error != 0;
    if (--revocation->second.awaited > 0) return std::nullopt;
    return std::move(revocations_.extract(revocation).mapped());
}

}  // namespace oneknock

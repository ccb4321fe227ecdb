#include "server/gatekeeper/grants/grant_requests.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/log.hpp"

namespace oneknock {
namespace {

GrantList::Entry grant_of(const Decision& decision, Instant now) {
    return {decision.client, decision.request.service(), decision.address, now + decision.duration};
}

}  // namespace

bool GrantRequests::request(const Decision& decision, const KnockMoments& moments) {
    GrantRequest request;
    request.id = next_id_++;
    request.operation = static_cast<Operation>(decision.request.operation);
    request.service = decision.request.service();
    request.address = decision.address;
    request.duration_s = static_cast<std::uint32_t>(decision.duration.count());
    if (!parent_.send(request)) return false;
    requests_.emplace(request.id, Knock{decision, moments});
    return true;
}

std::optional<GrantRequests::Knock> GrantRequests::answer_to_knock(const GrantReply& reply, Instant now) {
    const auto found = requests_.find(reply.id);
    if (found == requests_.end()) return std::nullopt;
    const Knock knock = std::move(requests_.extract(found).mapped());
    const Decision& decision = knock.decision;
    // The kernel that did not answer in time may have opened it: it is listed, so that it can be revoked.
    if (reply.error != 0 && !(reply.error == ETIMEDOUT && decision.request.is_open())) return knock;
    if (!decision.request.is_open()) list_.close({decision.address, decision.request.service()});
    else if (!knock.is_revoked) note(grant_of(decision, now), now);
    return knock;
}

void GrantRequests::adopt(const AdoptedGrant& adopted, Record& record, const Now& now) {
    if (!holders_) holders_ = record.holders(now.wall);
    holders_until_ = now.steady + Seconds{1};
    const auto holder = holders_->find({adopted.address, adopted.service});
    note({holder == holders_->end() ? "" : holder->second, adopted.service, adopted.address,
          now.steady + Seconds{adopted.remaining_s}},
         now.steady);
}

void GrantRequests::forget_holders(Instant now) {
    if (now > holders_until_) holders_.reset();
}

void GrantRequests::note(const GrantList::Entry& grant, Instant now) {
    list_.open(grant, now);
    if (!grant.client.empty() && !allowed_(grant.client, grant.service)) close(grant);
}

// The live grants, and those on their way, each once. Whatever is on its way to the same address and service, of
// whomever, is closed with it and shall not be noted.
std::vector<GrantList::Entry> GrantRequests::to_revoke(const std::string& client, Instant now) {
    auto grants = list_.live(client, now);
    for (const auto& [id, request] : requests_)
        if (request.decision.request.is_open() && (client.empty() || request.decision.client == client))
            grants.push_back(grant_of(request.decision, now));
    std::ranges::sort(grants, {}, GrantList::key_of);
    const auto is_same = [](const auto& a, const auto& b) { return GrantList::key_of(a) == GrantList::key_of(b); };
    grants.erase(std::unique(grants.begin(), grants.end(), is_same), grants.end());
    for (auto& [id, request] : requests_)
        if (std::ranges::binary_search(grants, GrantList::key_of(grant_of(request.decision, now)), {},
                                       GrantList::key_of))
            request.is_revoked = true;
    return grants;
}

std::size_t GrantRequests::revoke(const std::string& client, RequestId waiter, Instant now) {
    const auto grants = to_revoke(client, now);
    if (!grants.empty()) revocations_[waiter] = {waiter, grants.size(), grants.size()};
    for (const auto& grant : grants) close(grant, waiter);
    return grants.size();
}

std::optional<GrantRequests::Revocation> GrantRequests::answer_to_close(const GrantReply& reply, Instant now) {
    if (reply.error != 0)
        log::error(std::string("the firewall refused to close a grant: ") + std::strerror(reply.error));
    const auto found = closes_.find(reply.id);
    if (found == closes_.end()) return std::nullopt;
    const Close close = std::move(closes_.extract(found).mapped());
    if (reply.error != 0 && close.grant.deadline > now) list_.open(close.grant, now);  // it may be open still
    const auto revocation = close.waiter ? revocations_.find(*close.waiter) : revocations_.end();
    if (revocation == revocations_.end()) return std::nullopt;  // nobody waits for it
    revocation->second.failed = revocation->second.failed || reply.error != 0;
    if (--revocation->second.awaited > 0) return std::nullopt;
    return std::move(revocations_.extract(revocation).mapped());
}

void GrantRequests::close(const GrantList::Entry& grant, std::optional<RequestId> waiter) {
    GrantRequest request;
    request.id = next_id_++;
    request.operation = Operation::close;
    request.service = grant.service;
    request.address = grant.address;
    parent_.send(request, 2 * GrantList::most);  // however many there are
    list_.close(GrantList::key_of(grant));
    closes_.emplace(request.id, Close{grant, waiter});
}

std::size_t GrantRequests::close_what_is_no_longer_allowed(Instant now) {
    std::size_t closed = 0;
    for (const auto& grant : live(now)) {
        if (grant.client.empty() || allowed_(grant.client, grant.service)) continue;
        close(grant);
        ++closed;
    }
    return closed;
}

}  // namespace oneknock

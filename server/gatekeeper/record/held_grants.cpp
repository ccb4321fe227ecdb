#include "server/gatekeeper/record/held_grants.hpp"

#include <algorithm>
#include <iterator>

namespace oneknock {

bool HeldGrants::has_room_for(const ClientGrant& grant, Instant now) {
    drop_past(now);
    if (map_.all().contains(grant)) return true;
    const auto count = counts_.find(grant.client);
    return map_.all().size() < Map::capacity && (count == counts_.end() || count->second < most_per_client);
}

bool HeldGrants::would_bring_flows(const ClientGrant& grant, Instant now) {
    drop_past(now);
    return flows_after(grant.service) > Seconds{0} && !map_.all().contains(grant);
}

std::vector<ClientGrant> HeldGrants::displaced_by(const ClientGrant& grant, Instant now) {
    drop_past(now);
    const auto count = counts_.find(grant.client);
    const bool may_be_too_many = count != counts_.end() && count->second > most_with_flows;
    if (flows_after(grant.service) == Seconds{0} || !may_be_too_many) return {};
    std::vector<std::pair<Instant, ClientGrant>> others;
    for (const auto& [other, entry] : map_.all())
        if (other.client == grant.client && other.service.protocol == protocol_udp &&
            other.address.family == grant.address.family && other != grant)
            others.emplace_back(entry.end, other);
    std::ranges::sort(others);
    std::vector<ClientGrant> displaced;
    for (std::size_t i = 0; i + most_with_flows <= others.size(); ++i) displaced.push_back(others[i].second);
    return displaced;
}

void HeldGrants::put(const ClientGrant& grant, Instant end, Instant now) {
    const Instant past = end + flows_after(grant.service);
    if (past <= now) return;
    drop_past(now);
    const bool is_new = !map_.all().contains(grant);
    if (map_.put(grant, past, now) && is_new) ++counts_[grant.client];
}

void HeldGrants::erase(const ClientGrant& grant, Instant now) {
    drop_past(now);
    if (!map_.all().contains(grant)) return;
    map_.erase(grant);
    uncount(grant.client);
}

void HeldGrants::end_now(const ClientGrant& grant, Instant now) {
    const auto end = noted_end(grant, now);
    if (!end) return;
    erase(grant, now);
    put(grant, std::min(*end, now), now);
}

std::optional<Instant> HeldGrants::end_of(const ClientGrant& grant, Instant now) {
    const auto end = noted_end(grant, now);
    return end > now ? end : std::nullopt;
}

std::optional<Instant> HeldGrants::noted_end(const ClientGrant& grant, Instant now) {
    drop_past(now);
    const auto past = map_.end_of(grant);
    return past ? std::optional(*past - flows_after(grant.service)) : std::nullopt;
}

std::optional<Instant> HeldGrants::latest_end(const Service& service, const Address& address, Instant now) {
    const auto past = latest_past(service, address, now);
    return past && *past - flows_after(service) > now ? std::optional(*past - flows_after(service)) : std::nullopt;
}

std::optional<Instant> HeldGrants::latest_end_of_flows(const Service& service, const Address& address, Instant now) {
    return flows_after(service) == Seconds{0} ? std::nullopt : latest_past(service, address, now);
}

std::optional<Instant> HeldGrants::latest_past(const Service& service, const Address& address, Instant now) {
    drop_past(now);
    std::optional<Instant> latest;
    auto holder = map_.all().lower_bound({service, address, ""});
    for (; holder != map_.all().end() && holder->first.service == service && holder->first.address == address; ++holder)
        latest = std::max(latest, std::optional(holder->second.end));
    return latest;
}

const HeldGrants::Counts& HeldGrants::holders(Instant now) {
    drop_past(now);
    return counts_;
}

HeldGrants::Ends HeldGrants::live(Instant now) {
    Ends ends = remembered(now);
    std::erase_if(ends, [now](const auto& held) { return held.second <= now; });
    return ends;
}

HeldGrants::Ends HeldGrants::remembered(Instant now) {
    drop_past(now);
    return all();
}

HeldGrants::Ends HeldGrants::all() const {
    Ends ends;
    ends.reserve(size());
    std::ranges::transform(map_.all(), std::back_inserter(ends), [this](const auto& entry) {
        return std::pair(entry.first, entry.second.end - flows_after(entry.first.service));
    });
    return ends;
}

void HeldGrants::drop_past(Instant now) {
    map_.drop_ended(now, [this](const ClientGrant& grant) { uncount(grant.client); });
}

void HeldGrants::uncount(const std::string& client) {
    const auto count = counts_.find(client);
    if (count != counts_.end() && --count->second == 0) counts_.erase(count);
}

}  // namespace oneknock

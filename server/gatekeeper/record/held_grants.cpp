#include "server/gatekeeper/record/held_grants.hpp"

#include <algorithm>

namespace oneknock {

bool HeldGrants::has_room_for(const ClientGrant& grant, Instant now) {
    drop_ended(now);
    if (map_.all().contains(grant)) return true;
    const auto count = counts_.find(grant.client);
    return map_.all().size() < Map::capacity && (count == counts_.end() || count->second < most_per_client);
}

void HeldGrants::put(const ClientGrant& grant, Instant end, Instant now) {
    if (end <= now || !has_room_for(grant, now)) return;
    if (!map_.all().contains(grant)) ++counts_[grant.client];
    static_cast<void>(map_.put(grant, end, now));
}

void HeldGrants::erase(const ClientGrant& grant, Instant now) {
    drop_ended(now);
    if (!map_.all().contains(grant)) return;
    map_.erase(grant);
    uncount(grant.client);
}

std::optional<Instant> HeldGrants::end_of(const ClientGrant& grant, Instant now) {
    drop_ended(now);
    return map_.end_of(grant);
}

std::optional<Instant> HeldGrants::latest_end(const Service& service, const Address& address, Instant now) {
    drop_ended(now);
    std::optional<Instant> latest;
    auto holder = map_.all().lower_bound({service, address, ""});
    for (; holder != map_.all().end() && holder->first.service == service && holder->first.address == address; ++holder)
        latest = std::max(latest, std::optional(holder->second.end));
    return latest;
}

const HeldGrants::Map::Map& HeldGrants::live(Instant now) {
    drop_ended(now);
    return map_.all();
}

void HeldGrants::drop_ended(Instant now) {
    map_.drop_ended(now, [this](const ClientGrant& grant) { uncount(grant.client); });
}

void HeldGrants::uncount(const std::string& client) {
    const auto count = counts_.find(client);
    if (count != counts_.end() && --count->second == 0) counts_.erase(count);
}

}  // namespace oneknock

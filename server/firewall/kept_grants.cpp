#include "server/firewall/kept_grants.hpp"

#include <algorithm>

#include "server/firewall/table/element_key.hpp"

namespace oneknock {
namespace {

using std::chrono::milliseconds;

milliseconds until(Instant end, Instant now) { return std::chrono::duration_cast<milliseconds>(end - now); }

}  // namespace

void KeptGrants::forget_all_but(const std::vector<Service>& services) {
    std::vector<GrantKey> ended;
    for (const auto& [key, grant] : ends_.all())
        if (std::ranges::find(services, key.service) == services.end()) ended.push_back(key);
    for (const GrantKey& key : ended) ends_.erase(key);
}

std::vector<KeptGrants::Remaining> KeptGrants::adopt(const Sets& found, const std::vector<Service>& services,
                                                     const std::map<GrantKey, milliseconds>& recorded, Instant now) {
    ends_.clear();
    std::vector<Remaining> adopted;
    for (const auto& [key, in_kernel] : grants_in(names_, found, services, among_others_)) {
        const auto known = recorded.find(key);
        if (known == recorded.end()) continue;
        const milliseconds remaining = std::min(in_kernel, known->second);
        if (remaining >= shortest_timeout && ends_.put(key, now + remaining, now)) adopted.emplace_back(key, remaining);
    }
    return adopted;
}

std::size_t KeptGrants::elements_in(const Sets& found) const {
    std::size_t count = 0;
    for (const Family family : families)
        if (const auto set = found.find(names_.of(family)); set != found.end()) count += set->second.elements.size();
    return count;
}

std::vector<GrantKey> KeptGrants::strange_of_ours(const Sets& found, Instant now, milliseconds slack) const {
    std::vector<GrantKey> strange;
    for (const auto& [key, remaining] : commented_in(names_, found))
        if (remaining.value_or(milliseconds::max()) > slack && ends_.end_of(key).value_or(now) <= now)
            strange.push_back(key);
    return strange;
}

void KeptGrants::note_others(const std::vector<ForeignElement>& others, Instant now) {
    others_.clear();
    for (const ForeignElement& element : others)
        if (element.grant) others_[*element.grant] = element.remaining ? now + *element.remaining : Instant::max();
}

bool KeptGrants::others_last_until(const GrantKey& key, Instant end) const {
    const auto found = others_.find(key);
    return found != others_.end() && found->second >= end;
}

void KeptGrants::put_all(nft::Batch& batch, Instant now) const {
    std::vector<Element> ipv4, ipv6;
    for (const auto& [key, entry] : ends_.all())
        if (const milliseconds remaining = until(entry.end, now); remaining >= shortest_timeout)
            (key.address.family == Family::ipv4 ? ipv4 : ipv6).push_back(element_of(key, remaining));
    batch.add_elements(names_.ipv4, ipv4);
    batch.add_elements(names_.ipv6, ipv6);
}

// Up to kernel 6.11 adding an element again keeps its old end, and deleting an absent one is refused. Atomic like all
// of a batch, so no packet falls in between.
void KeptGrants::renew(nft::Batch& batch, const std::vector<GrantKey>& keys, Instant now) {
    for (const GrantKey& key : keys) {
        const Instant end = ends_.end_of(key).value_or(now);
        const milliseconds remaining = until(end, now);
        if (!has_set_for(key.address.family) || others_last_until(key, end)) continue;
        others_.erase(key);  // it is replaced
        remove(batch, {key});
        if (remaining < shortest_timeout) continue;
        const std::vector<Element> element{element_of(key, remaining)};
        batch.add_elements(names_.of(key.address.family), element);
    }
}

void KeptGrants::remove(nft::Batch& batch, const std::vector<GrantKey>& keys) const {
    for (const GrantKey& key : keys) {
        if (!has_set_for(key.address.family)) continue;
        const std::vector<Element> element{element_of(key, Seconds{1})};
        batch.add_elements(names_.of(key.address.family), element);  // it may have ended meanwhile
        batch.delete_elements(names_.of(key.address.family), element);
    }
}

// Our comment, where others' elements are beside ours.
Element KeptGrants::element_of(const GrantKey& key, milliseconds remaining) const {
    return {element_key(key), remaining, among_others_};
}

}  // namespace oneknock

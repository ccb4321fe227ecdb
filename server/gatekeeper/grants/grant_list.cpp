#include "server/gatekeeper/grants/grant_list.hpp"

namespace oneknock {

void GrantList::forget_ended(Instant now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        entries_.erase(deadlines_.begin()->second);
        deadlines_.erase(deadlines_.begin());
    }
}

void GrantList::open(Entry entry, Instant now) {
    forget_ended(now);
    close(entry.service, entry.address);
    if (entries_.size() >= most) return;
    const Key key{entry.address, entry.service};
    deadlines_.emplace(entry.deadline, key);
    entries_.emplace(key, std::move(entry));
}

void GrantList::close(const Service& service, const Address& address) {
    const auto found = entries_.find({address, service});
    if (found == entries_.end()) return;
    deadlines_.erase({found->second.deadline, found->first});
    entries_.erase(found);
}

std::size_t GrantList::count(Instant now) {
    forget_ended(now);
    return entries_.size();
}

std::vector<GrantList::Entry> GrantList::live(const std::string& client, Instant now) {
    forget_ended(now);
    std::vector<Entry> found;
    for (const auto& [key, entry] : entries_)
        if (client.empty() || entry.client == client) found.push_back(entry);
    return found;
}

}  // namespace oneknock

#include "server/gatekeeper/grants/grant_list.hpp"

namespace oneknock {

void GrantBook::forget_ended(Instant now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        entries_.erase(deadlines_.begin()->second);
        deadlines_.erase(deadlines_.begin());
    }
}

void GrantBook::open(Entry entry, Instant now) {
    forget_ended(now);
    close(entry.service, entry.address);
    if (entries_.size() >= most) return;
    const Key key{entry.address, entry.service};
    deadlines_.emplace(entry.deadline, key);
    entries_.emplace(key, std::move(entry));
}

void GrantBook::close(const Service& service, const Address& address) {
    const auto found = entries_.find({address, service});
    if (found == entries_.end()) return;
    deadlines_.erase({found->second.deadline, found->first});
    entries_.erase(found);
}

std::size_t GrantBook::count(Instant now) {
    forget_ended(now);
    return entries_.size();
}

std::vector<GrantBook::Entry> GrantBook::live(const std::string& client, Instant now) {
    forget_ended(now);
    std::vector<Entry> found;
    for (const auto& [key, entry] : entries_)
        if (client.empty() || entry.client == client) found.push_back(entry);
    return found;
}

}  // namespace oneknock

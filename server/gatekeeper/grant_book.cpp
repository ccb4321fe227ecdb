#include "server/gatekeeper/grant_book.hpp"

namespace oneknock {

void GrantBook::forget_ended(Instant now) {
    std::erase_if(entries_, [now](const auto& item) { return item.second.deadline <= now; });
}

void GrantBook::open(Entry entry, Instant now) {
    if (entries_.size() >= most) forget_ended(now);
    const Key key{entry.address, entry.service};
    entries_.insert_or_assign(key, std::move(entry));
}

void GrantBook::close(const Service& service, const Address& address) { entries_.erase({address, service}); }

std::vector<GrantBook::Entry> GrantBook::live(const std::string& client, Instant now) {
    forget_ended(now);
    std::vector<Entry> found;
    for (const auto& [key, entry] : entries_)
        if (client.empty() || entry.client == client) found.push_back(entry);
    return found;
}

}  // namespace oneknock

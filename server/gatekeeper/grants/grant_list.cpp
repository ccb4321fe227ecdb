#include "server/gatekeeper/grants/grant_list.hpp"

namespace oneknock {

void GrantList::open(const Entry& entry, Instant now) {
    static_cast<void>(notes_.put(key_of(entry), entry.deadline, now, entry.client));
}

std::size_t GrantList::count(Instant now) {
    notes_.drop_ended(now);
    return notes_.all().size();
}

std::vector<GrantList::Entry> GrantList::live(const std::string& client, Instant now) {
    notes_.drop_ended(now);
    std::vector<Entry> found;
    for (const auto& [key, note] : notes_.all())
        if (client.empty() || note.value == client) found.push_back({note.value, key.service, key.address, note.end});
    return found;
}

}  // namespace oneknock

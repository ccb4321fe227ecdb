// Keys that more than one client's file holds: a copy of a file under another name, an older one restored from a
// backup. Which of the files its administrator thinks of is not known, so all of them count, and the strictest decides.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "keys/keyring.hpp"

namespace oneknock {

// By the name of a client: the others whose files hold one of its keys. Nearly always empty.
using Sharing = std::map<std::string, std::set<std::string>>;
[[nodiscard]] Sharing shared_keys(const std::vector<Client>& clients);

// An error that names the files of the first such client in `folder`, and what to do.
[[nodiscard]] Result<void> check_shares_no_key(const std::vector<Client>& clients, const std::string& folder);

// Of one client among others, for messages: "holds a key that is in desk.json as well; ...".
[[nodiscard]] std::string sharing_text(const std::string& client, const std::set<std::string>& others);

// Tells keys apart, and nothing else about them.
using Fingerprint = std::uint64_t;
[[nodiscard]] std::vector<Fingerprint> fingerprints_of(const Client& client);

// Whether there may be such keys, kept as clients come and go: a look at all keys takes milliseconds where there are
// very many.
class KeyCensus {
public:
    void note_come(const std::vector<Fingerprint>& keys) { come_.insert(come_.end(), keys.begin(), keys.end()); }
    void note_gone(const std::vector<Fingerprint>& keys) { gone_.insert(gone_.end(), keys.begin(), keys.end()); }
    // After what was noted. False: no key is in two places.
    [[nodiscard]] bool has_doubles();

private:
    std::vector<Fingerprint> keys_, come_, gone_;  // keys_ in their order
};

}  // namespace oneknock

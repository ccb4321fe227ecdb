// Who holds which grant: the gatekeeper's notes beside the kernel's set, for `oneknockctl grants` and `revoke`. The
// kernel ends grants by itself; notes of ended ones are dropped at the next call that is told the time.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/expiring_map.hpp"
#include "common/protocol/address.hpp"

namespace oneknock {

class GrantList {
public:
    struct Entry {
        std::string client;  // empty: of an earlier run, and the audit does not know whose
        Service service;
        Address address;
        Instant deadline{};
    };

    // Of the notes, none of which is of the same grant as another.
    struct Key {
        Address address;
        Service service;
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    [[nodiscard]] static Key key_of(const Entry& entry) { return {entry.address, entry.service}; }

    // The size of the kernel's set: more cannot be live. As many are noted at most.
    static constexpr std::size_t most = 65'536;

    // Replaces the note of the same grant. Where there is no room it is not taken: the kernel's set has none either.
    void open(const Entry& entry, Instant now);
    void close(const Key& key) { notes_.erase(key); }
    [[nodiscard]] std::size_t count(Instant now);
    // Live ones, in the order of their keys; of one client, or of all if it is empty.
    [[nodiscard]] std::vector<Entry> live(const std::string& client, Instant now);

private:
    ExpiringMap<Key, most, std::string> notes_;  // whose
};

}  // namespace oneknock

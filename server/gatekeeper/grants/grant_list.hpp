// Who holds which grant: the gatekeeper's notes beside the kernel's set, for `oneknockctl grants` and `revoke`. The
// kernel ends grants by itself; notes of ended ones are dropped at the next call that is told the time.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"

namespace oneknock {

class GrantList {
public:
    // The size of the kernel's set: more cannot be live. As many are noted at most.
    static constexpr std::size_t most = 65'536;

    struct Entry {
        std::string client;  // empty: of an earlier run, and the audit does not know whose
        Service service;
        Address address;
        Instant deadline{};
    };

    // Replaces the note of the same address and service. Where there is no room it is not taken: the kernel's set has
    // none either.
    void open(Entry entry, Instant now);
    void close(const Service& service, const Address& address);
    [[nodiscard]] std::size_t count(Instant now);
    // Live ones, by address and service; of one client, or of all if it is empty.
    [[nodiscard]] std::vector<Entry> live(const std::string& client, Instant now);

private:
    using Key = std::pair<Address, Service>;
    void forget_ended(Instant now);

    std::map<Key, Entry> entries_;
    std::set<std::pair<Instant, Key>> deadlines_;  // of the same notes, the first to end first
};

}  // namespace oneknock

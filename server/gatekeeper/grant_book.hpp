// Who holds which grant: the gatekeeper's notes beside the kernel's set, for `oneknockctl grants` and `revoke`. The
// kernel ends grants by itself; notes of ended ones are dropped when they are met.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"

namespace oneknock {

class GrantBook {
public:
    // The size of the kernel's set: more cannot be live.
    static constexpr std::size_t most = 65'536;

    struct Entry {
        std::string client;  // empty: of an earlier run, and the audit does not know whose
        Service service;
        Address address;
        Instant deadline{};
    };

    void open(Entry entry, Instant now);
    void close(const Service& service, const Address& address);
    // Live ones, by address and service; of one client, or of all if it is empty.
    [[nodiscard]] std::vector<Entry> live(const std::string& client, Instant now);

private:
    using Key = std::pair<Address, Service>;
    void forget_ended(Instant now);

    std::map<Key, Entry> entries_;
};

}  // namespace oneknock

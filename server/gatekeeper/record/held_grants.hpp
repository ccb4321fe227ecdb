// Who holds which grant. A grant is somebody's: two clients behind one address hold one each, and each ends its own
// alone. The calls that are told the time drop what has ended by then.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/expiring_map.hpp"
#include "common/protocol/address.hpp"

namespace oneknock {

// By address and service first, so that all who hold the same are side by side.
struct ClientGrant {
    Service service;
    Address address;
    std::string client;
    friend auto operator<=>(const ClientGrant&, const ClientGrant&) = default;
};

class HeldGrants {
public:
    // Of one client, and of all. The kernel's sets have room for 65,536 addresses and services.
    static constexpr std::size_t most_per_client = 1024;
    using Map = ExpiringMap<ClientGrant, 131'072>;

    // Whether this one may be put in, or is there.
    [[nodiscard]] bool has_room_for(const ClientGrant& grant, Instant now);
    // Replaces the same one. Where there is no room for it, it is not taken.
    void put(const ClientGrant& grant, Instant end, Instant now);
    void erase(const ClientGrant& grant, Instant now);

    [[nodiscard]] std::optional<Instant> end_of(const ClientGrant& grant, Instant now);
    // The latest end of anybody's grant of the service for the address; nothing: nobody holds one.
    [[nodiscard]] std::optional<Instant> latest_end(const Service& service, const Address& address, Instant now);
    [[nodiscard]] const Map::Map& live(Instant now);
    [[nodiscard]] const Map::Map& all() const { return map_.all(); }  // ended ones among them

private:
    void drop_ended(Instant now);
    void uncount(const std::string& client);

    Map map_;
    std::map<std::string, std::size_t, std::less<>> counts_;  // by client
};

}  // namespace oneknock

// Who holds which grant. A grant is somebody's: two clients behind one address hold one each, and each ends its own
// alone. UDP flows that were begun under a grant may go on for a time after it, until somebody takes it away; so long
// the grant is remembered, though it has ended. The calls that are told the time drop what is past by then.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/expiring_map.hpp"
#include "common/protocol/address.hpp"
#include "common/token_bucket.hpp"

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
    // How long flows may outlive a grant of a UDP service: remembered so long.
    explicit HeldGrants(Seconds flows_after = Seconds{0}) : flows_after_(flows_after) {}

    // Of one client, and of all. The kernel's sets have room for 65,536 addresses and services.
    static constexpr std::size_t most_per_client = 1024;
    using Map = ExpiringMap<ClientGrant, 131'072>;
    // A client's flows go on with so many addresses and services of each family, and it begins some elsewhere so often:
    // with the pace of one address (firewall/table/udp_flows) that is 48,000 flows in a day, and those that go idle
    // where they have ended, of the 65,536 that the kernel's set has room for.
    static constexpr std::size_t most_with_flows = 8;
    static constexpr Rate new_with_flows{1.0 / 60, 8};

    // Whether this one may be put in, or is there.
    [[nodiscard]] bool has_room_for(const ClientGrant& grant, Instant now);
    // Whether flows will begin under it, and none of the client's could have so far.
    [[nodiscard]] bool would_bring_flows(const ClientGrant& grant, Instant now);
    // What the client has to give up for this one, so that its flows keep within their share: what ends first.
    [[nodiscard]] std::vector<ClientGrant> displaced_by(const ClientGrant& grant, Instant now);
    // Replaces the same one. Beyond the client's share as well: what may be open has to be listed, and the share is
    // asked for before something is opened. Where there is no room at all it is not taken.
    void put(const ClientGrant& grant, Instant end, Instant now);
    void erase(const ClientGrant& grant, Instant now);
    void end_now(const ClientGrant& grant, Instant now);  // its flows may go on

    // Nothing: it has ended, or there was none; `noted_end` also tells an end that is past, as long as it is
    // remembered.
    [[nodiscard]] std::optional<Instant> end_of(const ClientGrant& grant, Instant now);
    [[nodiscard]] std::optional<Instant> noted_end(const ClientGrant& grant, Instant now);
    // The latest end of anybody's grant of the service for the address; nothing: nobody holds one.
    [[nodiscard]] std::optional<Instant> latest_end(const Service& service, const Address& address, Instant now);
    // The latest end of flows that were begun under one; nothing: there are none.
    [[nodiscard]] std::optional<Instant> latest_end_of_flows(const Service& service, const Address& address,
                                                             Instant now);

    void drop_past(Instant now);

    using Counts = std::map<std::string, std::size_t, std::less<>>;
    // Who holds some that are remembered, and how many.
    [[nodiscard]] const Counts& holders(Instant now);

    using Ends = std::vector<std::pair<ClientGrant, Instant>>;  // in order
    [[nodiscard]] Ends live(Instant now);
    [[nodiscard]] Ends remembered(Instant now);
    [[nodiscard]] Ends all() const;  // also what is past
    [[nodiscard]] std::size_t size() const { return map_.all().size(); }

private:
    [[nodiscard]] Seconds flows_after(const Service& service) const {
        return service.protocol == protocol_udp ? flows_after_ : Seconds{0};
    }
    [[nodiscard]] std::optional<Instant> latest_past(const Service& service, const Address& address, Instant now);
    void uncount(const std::string& client);

    Seconds flows_after_;
    Map map_;        // until when each is remembered
    Counts counts_;  // by client
};

}  // namespace oneknock

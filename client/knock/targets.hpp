// Where a knock goes: every address of the door, each with the source and the message address that fit it.
#pragma once

#include <optional>
#include <vector>

#include "client/knock/name_lookup.hpp"
#include "client/message/knock_settings.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

struct Target {
    Family family = Family::ipv4;         // of the message: IPv4 also for packets of IPv6 to a server behind a NAT64
    std::optional<Endpoint> destination;  // missing only in dry runs with a name that does not resolve
    std::optional<Endpoint> local;        // the kernel's choice; missing only in dry runs without a route
    Address address;                      // the message's
    std::string warning;                  // that the server will probably refuse it; else empty
};

// So often may the door's name lead elsewhere while --wait lasts.
inline constexpr std::size_t most_knocks = 64;

// The route to one address of the door as it is now, and the address that a message must name there. `translated`: it
// stands for an IPv4 server behind a NAT64, which is known without that for the well-known prefix alone.
[[nodiscard]] Result<Target> find_target(const Endpoint& destination, const KeyFile& key, const KnockSettings& settings,
                                         bool translated = false);

// Asks the name service for the prefix of this network's NAT64, and whether the address is in it. It takes 2 s at
// most.
[[nodiscard]] bool is_behind_nat64(const Address& destination);

// What has no name, route or address now may have one in a moment; nothing else mends itself.
[[nodiscard]] inline bool may_mend(const Error& error) { return error.code == ExitCode::unavailable; }

// What to knock at. An address that fails (no route, a NAT64 that the policy does not allow) does not stop the others;
// the first failure is the error if all fail. `warnings` receives what the user should know all the same. With a
// deadline (steady clock) the name service is asked as resolve_until() does.
[[nodiscard]] Result<std::vector<Target>> find_targets(const KeyFile& key, const KnockSettings& settings,
                                                       std::vector<std::string>& warnings,
                                                       std::optional<Instant> deadline = {});

}  // namespace oneknock

// Where a knock goes: every address of the door, each with the source and the message address that fit it.
#pragma once

#include <optional>
#include <vector>

#include "client/knock/endpoint.hpp"
#include "client/message/knock_settings.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

struct Target {
    Family family = Family::ipv4;
    std::optional<Endpoint> destination;  // missing only in dry runs with a name that does not resolve
    std::optional<Endpoint> local;        // the kernel's choice; missing only in dry runs without a route
    Address address;                      // the message's
};

// A name with more addresses is cut here: the answer comes from the network.
inline constexpr std::size_t most_targets = 16;

// The door's addresses, of one family if given, each once. ExitCode::unavailable, naming the door, if there are none.
[[nodiscard]] Result<std::vector<Endpoint>> resolve(const std::string& name, std::optional<Family> family);

// The route to one address of the door as it is now, and the address that a message must name there.
[[nodiscard]] Result<Target> find_target(const Endpoint& destination, const KeyFile& key,
                                         const KnockSettings& settings);

// What to knock at. An address that fails (no route, NAT in between) does not stop the others; the first
// failure is the error if all fail. `skipped` receives the failures worth a warning.
[[nodiscard]] Result<std::vector<Target>> find_targets(const KeyFile& key, const KnockSettings& settings,
                                                       std::vector<std::string>& skipped);

}  // namespace oneknock

// Names to addresses. A name service that does not answer keeps getaddrinfo() for most of a minute, and nothing ends
// it: where time is limited, a process of its own asks, which is ended.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/knock/endpoint.hpp"
#include "common/clock.hpp"

namespace oneknock {

// A name with more addresses is cut here: the answer comes from the network.
inline constexpr std::size_t most_addresses = 16;

[[nodiscard]] inline bool is_numeric(const std::string& name) { return Address::parse(name).has_value(); }

// The name's addresses, of one family if given, each once, in the resolver's order. ExitCode::unavailable, naming
// the name, if there are none.
[[nodiscard]] Result<std::vector<Endpoint>> resolve(const std::string& name, std::optional<Family> family);

// The same for callers who ask again by themselves: no longer than until `deadline` (steady clock), and never longer
// than 5 s, in which a name server is given 2 s before the next one is asked.
[[nodiscard]] Result<std::vector<Endpoint>> resolve_until(const std::string& name, std::optional<Family> family,
                                                          Instant deadline);

}  // namespace oneknock

// What can be found wrong on the way to the door.
#pragma once

#include "client/commands/prepare_knock.hpp"
#include "common/findings.hpp"

namespace oneknock {

// `found` is what the name service said, `took` how long that lasted.
[[nodiscard]] Finding check_name(const std::string& name, const Result<std::vector<Endpoint>>& found, Instant took);

// A route that was found: from which address packets leave, and for which one the knock asks.
[[nodiscard]] Finding check_route(const Target& target);

// What a TCP service's port answers now; one attempt, which the service does not see.
[[nodiscard]] Finding check_port(const Target& target, const Service& service);

// Knocks, and watches a TCP service's port until it opens or `options.wait` is over.
[[nodiscard]] Finding check_knock(const PreparedKnock& prepared, KnockOptions options);

}  // namespace oneknock

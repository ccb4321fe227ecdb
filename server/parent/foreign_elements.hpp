// Mode set: what the gatekeeper is told of the elements that are not ours, so that `oneknockctl status` lists them.
#pragma once

#include <vector>

#include "server/firewall/table/compare.hpp"
#include "server/privsep/messages.hpp"

namespace oneknock {

// All are counted, and the first ForeignElements::most_told of those that are an address and a service are named.
[[nodiscard]] ForeignElements told_of(const std::vector<ForeignElement>& elements);

}  // namespace oneknock

// A grant as the bytes of its set element's key: address . protocol . port, every part padded to 4 bytes as nf_tables
// lays concatenated keys out (unpadded keys are refused with EINVAL).
#pragma once

#include <optional>

#include "common/bytes.hpp"
#include "server/firewall/table/grants.hpp"
#include "server/firewall/table/ruleset.hpp"

namespace oneknock {

[[nodiscard]] ByteString element_key(const GrantKey& grant);

// Nothing if the bytes are no such key (a catch-all element has none at all).
[[nodiscard]] std::optional<GrantKey> grant_of_key(Family family, ByteSpan key);

// An element of the guard's set of closed services: protocol . port.
[[nodiscard]] ByteString service_key(const Service& service);

}  // namespace oneknock

// Which address a message names (docs/protocol.md, "Plaintext"), and when the client refuses to name one. Pure.
#pragma once

#include "client/message/knock_settings.hpp"
#include "common/protocol/address.hpp"
#include "common/result.hpp"
#include "keys/source_policy.hpp"

namespace oneknock {

// Refuses --source observed where the client's policy is `same`: the server would refuse each such knock.
[[nodiscard]] Result<void> check_choice(const SourceChoice& choice, const SourcePolicy& policy);

// The address for a knock from `local`, the address the kernel sends from, to `destination`. A named address must be
// of the destination's family. ExitCode::usage, with a hint that fits the policy, if the automatic choice cannot be
// right: a private address at a public door (a NAT is between them), or loopback.
[[nodiscard]] Result<Address> message_address(const SourceChoice& choice, const SourcePolicy& policy,
                                              const Address& local, const Address& destination);

// Whether a server lets this client open for "the address you see".
[[nodiscard]] bool may_be_observed(const SourcePolicy& policy);

}  // namespace oneknock

// From the two secrets to everything derived from them (docs/protocol.md, "Keys").
#pragma once

#include "common/protocol/constants.hpp"
#include "common/secret.hpp"

namespace oneknock {

struct MessageKeys {
    Secret32 mac;
    Secret32 cipher;
};

[[nodiscard]] MessageKeys derive_message_keys(const Secret32& client_secret);
[[nodiscard]] Secret32 derive_hint_key(const Secret32& client_secret);
[[nodiscard]] Hint hint_for(const Secret32& hint_key, Epoch epoch);

// The seed of one hour's codebook. It says nothing about the door secret or another hour's seed.
[[nodiscard]] Secret32 codebook_seed(const Secret32& door_secret, const DoorId& door, Epoch epoch);

}  // namespace oneknock

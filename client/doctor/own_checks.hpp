// What can be found wrong on this machine alone. Nothing is sent.
#pragma once

#include "common/clock.hpp"
#include "common/findings.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// How well this machine's clock is kept, as the kernel knows it.
[[nodiscard]] Finding check_clock(UnixTime now);

// A key file's content: whose it is, and until when it opens.
[[nodiscard]] Finding check_key(const std::string& path, const StoredKey& key, UnixTime now);

// Whether the secrets can be had, and how.
[[nodiscard]] Finding check_passphrase(const StoredKey& key, const std::string& door);

}  // namespace oneknock

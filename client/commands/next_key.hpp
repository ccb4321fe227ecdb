// What `oneknock rotate` asks of oneknock-keygen at the server, over ssh.
#pragma once

#include "client/options/options.hpp"
#include "common/result.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// The next generation of this key, sealed on its way: neither ssh's end there nor a log of sudo's has it in clear.
// Whatever fails, the present key works as before.
[[nodiscard]] Result<KeyFile> fetch_next_key(const RotateOptions& options, const KeyFile& present);

// Whether the daemon there has accepted a knock with this generation of the client's key.
[[nodiscard]] Result<bool> was_used(const RotateOptions& options, const KeyFile& key);

}  // namespace oneknock

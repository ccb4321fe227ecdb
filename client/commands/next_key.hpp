// What `oneknock rotate` asks of oneknock-keygen at the server, over ssh.
#pragma once

#include "client/options/options.hpp"
#include "common/result.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// That the folder at the server is of this door: another one may have a client of this name, whose key would be
// rotated, and who has it locked out in the end. Changes nothing.
[[nodiscard]] Result<void> check_is_this_door(const RotateOptions& options, const KeyFile& present);

// The next generation of this key, sealed on its way: neither ssh's end there nor a log of sudo's has it in clear. What
// fails may have failed behind the rotation.
[[nodiscard]] Result<KeyFile> fetch_next_key(const RotateOptions& options, const KeyFile& present);

// Whether the daemon there has accepted a knock with this generation of the client's key.
[[nodiscard]] Result<bool> was_used(const RotateOptions& options, const KeyFile& key);

}  // namespace oneknock

// Unlocking keys that the kernel keeps for this user for a while, so that a passphrase need not be typed for every
// knock (libkeyutils behind it; keyrings(7)).
//
// What is kept is the key that the passphrase made for one lock (keys/key_encryption), never the passphrase, which may
// be in use elsewhere: it opens that one file, until its passphrase changes. It is in the user keyring, not in that of
// a session: terminals, a desktop's programs and its services have sessions of their own. This user's processes may
// read it, as they may read key files; it is not swapped out by name, ends by itself, and is gone with the next boot.
#pragma once

#include <optional>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/key_file.hpp"

namespace oneknock::kernel_keyring {

// For `time`, 1s at least; an earlier one of this lock gives way. Where the kernel has no keyrings, or a container
// forbids them: ExitCode::unavailable, with what else can be done.
[[nodiscard]] Result<void> keep(const KeyEncryption& lock, const Secret32& key, Seconds time);

// Nothing also where there are no keyrings.
[[nodiscard]] std::optional<Secret32> find(const KeyEncryption& lock);

// False if there was none.
bool forget(const KeyEncryption& lock);
// Those of all locks; how many there were.
std::size_t forget_all();

}  // namespace oneknock::kernel_keyring

// A client's secrets under a passphrase, for a key file that may fall into other hands (libsodium behind it).
//
// Argon2id makes a key of the passphrase and a random salt; XChaCha20-Poly1305 seals both secrets with it, bound to the
// door, the client and the generations they belong to. Everything else in the file stays in the clear and may be
// edited: the door's address, the names of services.
#pragma once

#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

inline constexpr std::size_t longest_passphrase = 1024;  // bytes

// What each guess costs, and each use.
struct PassphraseCost {
    std::uint32_t operations;
    std::uint64_t memory;  // bytes
};
// libsodium's "moderate": 256 MiB, and most of a second on a desktop.
inline constexpr PassphraseCost usual_passphrase_cost{3, 256ULL << 20};

// Fails where this machine has not that much memory.
[[nodiscard]] Result<EncryptedKey> encrypt_key(const KeyFile& key, const SecretBytes& passphrase,
                                               const PassphraseCost& cost = usual_passphrase_cost);

// The key that a passphrase makes for this lock, with the memory and time it takes. It opens the lock and nothing else.
[[nodiscard]] Result<Secret32> unlocking_key(const SecretBytes& passphrase, const KeyEncryption& lock);

// ExitCode::data where the passphrase is not the right one, or somebody changed what the secrets are bound to; nobody
// can tell these apart. `name` is the file's, for messages.
[[nodiscard]] Result<KeyFile> decrypt_key(const EncryptedKey& locked, const SecretBytes& passphrase,
                                          const std::string& name);
[[nodiscard]] Result<KeyFile> decrypt_key(const EncryptedKey& locked, const Secret32& unlocking,
                                          const std::string& name);

}  // namespace oneknock

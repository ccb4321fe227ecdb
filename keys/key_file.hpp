// What a client holds: the file of kind "client-key", or "locked-client-key" where a passphrase guards the secrets.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/port_span.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/source_policy.hpp"

namespace oneknock {

struct KeyFile {
    struct Door {
        std::string name;
        std::string address;  // host name or numeric address
        DoorId id;
        PortSpan span;
        Secret32 secret;
        std::uint32_t generation = 1;
    };
    struct Client {
        std::string name;
        Secret32 secret;
        std::uint32_t generation = 1;
        SourcePolicy source;
        Seconds max_duration{60};
    };
    Door door;
    Client client;
    std::map<std::string, Service> services;  // what the client is allowed
    UnixTime created{};
    std::optional<UnixTime> expires;
};

// `name` is the file's name for messages.
[[nodiscard]] Result<KeyFile> parse_key_file(std::string_view text, const std::string& name);
[[nodiscard]] Result<KeyFile> read_key_file(const std::string& path);  // with read_private_file's checks

// The file's text, ending in a line feed, in locked memory.
[[nodiscard]] SecretBytes key_file_text(const KeyFile& key);

// The two secrets under a passphrase; see keys/key_encryption.
struct KeyEncryption {
    static constexpr std::size_t salt_length = 16;                         // crypto_pwhash_SALTBYTES
    static constexpr std::size_t sealed_length = 2 * Secret32::size + 16;  // with the tag of the cipher
    std::uint32_t operations = 0;                                          // of Argon2id
    std::uint64_t memory = 0;                                              // likewise, in bytes
    Bytes<salt_length> salt{};
    Bytes<sealed_length> sealed{};
};

inline constexpr std::string_view locked_kind = "locked-client-key";
inline constexpr std::string_view lock_algorithm = "argon2id-xchacha20poly1305";

struct EncryptedKey {
    KeyFile key;  // both secrets zero
    KeyEncryption lock;
};

// A key file of either kind.
using StoredKey = std::variant<KeyFile, EncryptedKey>;
[[nodiscard]] Result<StoredKey> parse_stored_key(std::string_view text, const std::string& name);
[[nodiscard]] Result<StoredKey> read_stored_key(const std::string& path);  // with read_private_file's checks
[[nodiscard]] SecretBytes stored_key_text(const StoredKey& stored);

[[nodiscard]] inline bool is_encrypted(const StoredKey& stored) { return std::holds_alternative<EncryptedKey>(stored); }
// All that is in the clear; of a locked key without the secrets.
[[nodiscard]] const KeyFile& clear_part(const StoredKey& stored);

}  // namespace oneknock

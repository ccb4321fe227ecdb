// From the word DOOR to a key, and from the word SERVICE to a service.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/door/door_folder.hpp"
#include "client/door/keys_lock.hpp"
#include "common/clock.hpp"
#include "common/result.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

struct OpenedDoor {
    std::string path;
    KeyFile key;
};
// Found and read; an expired key (`now` is the time the knock will carry) is ExitCode::data. A locked key is unlocked.
[[nodiscard]] Result<OpenedDoor> open_door(const std::string& door, UnixTime now,
                                           std::optional<int> key_fd = std::nullopt);

// The passphrase is read from `key_fd`, or what `oneknock unlock` keeps is used, or it is asked for.
[[nodiscard]] Result<KeyFile> unlock_key(const EncryptedKey& locked, const std::string& path,
                                         std::optional<int> key_fd);

// ExitCode::data if the key has expired; `path` is its file's.
[[nodiscard]] Result<void> check_not_expired(const KeyFile& key, const std::string& path, UnixTime now);

// Puts the key in the place of the file that `path` names: where that is a link, of the file it leads to, so that no
// older key stays behind there; its unlocking key is forgotten. Warns of other names (hard links) under which one does.
// `older` is what the new key was made from: if that is not what is there (any more), ExitCode::try_later.
[[nodiscard]] Result<void> replace_stored_key(const KeysLock& lock, const std::string& path, const StoredKey& older,
                                              const StoredKey& key);

// The service a word names. One that the file does not list is accepted as "tcp/22" only; see is_listed.
[[nodiscard]] Result<Service> find_service(const OpenedDoor& door, const std::string& word);
[[nodiscard]] bool is_listed(const KeyFile& key, const Service& service);

}  // namespace oneknock

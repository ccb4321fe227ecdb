#include "client/door/passphrase.hpp"
#include "client/commands/commands.hpp"
#include "client/door/key_store.hpp"
#include "common/files.hpp"
#include "keys/key_encryption.hpp"

namespace oneknock {
namespace {

Result<KeyFile> open_key(const StoredKey& stored, const std::string& path, Passphrases& passphrases) {
    if (!is_encrypted(stored)) return parse_key_file(stored_key_text(stored).text(), path);
    return passphrases.unlock(std::get<EncryptedKey>(stored), path).map([](Passphrases::Unlocked&& unlocked) {
        return std::move(unlocked.key);
    });
}

Result<StoredKey> lock_again(KeyFile key, const std::string& path, Passphrases& passphrases) {
    return passphrases.ask_new("new passphrase for " + path)
        .and_then([&](const SecretBytes& passphrase) { return encrypt_key(key, passphrase); })
        .map([](EncryptedKey&& locked) { return StoredKey{std::move(locked)}; });
}

Result<void> store(const std::string& path, const StoredKey& older, const StoredKey& key) {
    return KeysLock::wait_for(folder_of(path)).and_then([&](const KeysLock& lock) {
        return replace_stored_key(lock, path, older, key);
    });
}

}  // namespace

Result<void> passphrase_command(const PassphraseOptions& options) {
    const auto path = find_door(options.door);
    if (!path) return tl::unexpected(path.error());
    const auto stored = read_stored_key(*path);
    if (!stored) return tl::unexpected(stored.error());
    if (options.remove && !is_encrypted(*stored)) return print_line("has no passphrase: " + *path);
    Passphrases passphrases(options.key_fd);
    auto key = open_key(*stored, *path, passphrases);
    if (!key) return tl::unexpected(key.error());
    const auto changed =
        options.remove ? Result<StoredKey>(*std::move(key)) : lock_again(*std::move(key), *path, passphrases);
    if (!changed) return tl::unexpected(changed.error());
    if (const auto written = store(*path, *stored, *changed); !written) return written;
    return print_line((options.remove ? "passphrase removed: " : "passphrase set: ") + *path);
}

}  // namespace oneknock

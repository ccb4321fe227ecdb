#include "client/door/passphrase.hpp"

#include <filesystem>

#include "client/commands/commands.hpp"
#include "client/door/key_store.hpp"
#include "common/files.hpp"
#include "common/text.hpp"
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

// The next key takes the place of this one as it is: with the passphrase that this one had, or none.
Result<void> check_nothing_pending(const std::string& path) {
    const std::string pending = std::filesystem::path(path).replace_extension(".pending");
    if (!is_there(pending)) return {};
    return fail(ExitCode::cannot_create,
                printable(pending) + " is the next key, which oneknock rotate has not seen used yet; nothing was " +
                    "changed. Finish that first with: oneknock rotate DOOR --via HOST, or remove it: rm " +
                    shell_word(pending));
}

Result<void> store(const std::string& path, const StoredKey& older, const StoredKey& key) {
    return KeysLock::wait_for(folder_of(path)).and_then([&](const KeysLock& lock) {
        return check_nothing_pending(path).and_then([&] { return replace_stored_key(lock, path, older, key); });
    });
}

}  // namespace

Result<void> passphrase_command(const PassphraseOptions& options) {
    const auto path = find_door(options.door);
    if (!path) return tl::unexpected(path.error());
    static_cast<void>(KeysLock::take(folder_of(*path)));  // what is left there goes, whatever is answered
    const auto stored = read_stored_key(*path);
    if (!stored) return tl::unexpected(stored.error());
    if (options.remove && !is_encrypted(*stored)) return print_line("has no passphrase: " + printable(*path));
    if (auto checked = check_nothing_pending(*path); !checked) return checked;
    Passphrases passphrases(options.key_fd);
    auto key = open_key(*stored, *path, passphrases);
    if (!key) return tl::unexpected(key.error());
    const auto changed =
        options.remove ? Result<StoredKey>(*std::move(key)) : lock_again(*std::move(key), *path, passphrases);
    if (!changed) return tl::unexpected(changed.error());
    if (const auto written = store(*path, *stored, *changed); !written) return written;
    return print_line((options.remove ? "passphrase removed: " : "passphrase set: ") + printable(*path));
}

}  // namespace oneknock

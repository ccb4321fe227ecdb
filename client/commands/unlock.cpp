#include "client/commands/commands.hpp"
#include "client/door/kernel_keyring.hpp"
#include "client/door/key_store.hpp"
#include "client/door/passphrase.hpp"
#include "common/fd.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

Result<StoredKey> read_door(const std::string& door, std::string& path) {
    return find_door(door).and_then([&](const std::string& found) {
        path = found;
        return read_stored_key(found);
    });
}

}  // namespace

Result<void> unlock_command(const UnlockOptions& options) {
    std::string path;
    const auto stored = read_door(options.door, path);
    if (!stored) return tl::unexpected(stored.error());
    if (!is_encrypted(*stored)) return print_line("has no passphrase: " + printable(path));
    const auto& locked = std::get<EncryptedKey>(*stored);
    const auto unlocked = Passphrases(options.key_fd).unlock(locked, path);
    if (!unlocked) return tl::unexpected(unlocked.error());
    if (auto kept = kernel_keyring::keep(locked.lock, unlocked->unlocking, options.time); !kept) return kept;
    return print_line("unlocked for " + duration_text(options.time) + ": " + printable(path));
}

Result<void> lock_command(const LockOptions& options) {
    if (!options.door) return print_line("locked: " + std::to_string(kernel_keyring::forget_all()));
    std::string path;
    const auto stored = read_door(*options.door, path);
    if (!stored) return tl::unexpected(stored.error());
    const auto* locked = std::get_if<EncryptedKey>(&*stored);
    if (locked == nullptr) return print_line("has no passphrase: " + printable(path));
    return print_line((kernel_keyring::forget(locked->lock) ? "locked: " : "was locked: ") + printable(path));
}

}  // namespace oneknock

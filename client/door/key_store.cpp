#include "client/door/key_store.hpp"

#include <algorithm>

#include <sys/stat.h>

#include "client/door/kernel_keyring.hpp"
#include "client/door/passphrase.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/nearest_word.hpp"
#include "common/text.hpp"
#include "keys/key_encryption.hpp"

namespace oneknock {
namespace {

std::string services_text(const KeyFile& key) {
    const std::string text =
        join(key.services, [](const auto& named) { return named.first + " (" + named.second.text() + ")"; });
    return text.empty() ? "none" : text;
}

bool is_still_there(const StoredKey& older, const std::string& path) {
    const auto present = read_stored_key(path);
    return present && std::ranges::equal(stored_key_text(*present).bytes(), stored_key_text(older).bytes());
}

}  // namespace

Result<void> check_not_expired(const KeyFile& key, const std::string& path, UnixTime now) {
    if (!key.expires || *key.expires > now) return {};
    return fail(ExitCode::data, printable(path) + ": this key expired at " + time_text(*key.expires) +
                                    "; ask the administrator of " + key.door.name + " for a new one");
}

Result<KeyFile> unlock_key(const EncryptedKey& locked, const std::string& path, std::optional<int> key_fd) {
    // An unlocking key that does not fit (the file was altered) is as none.
    if (const auto kept = key_fd ? std::nullopt : kernel_keyring::find(locked.lock))
        if (auto key = decrypt_key(locked, *kept, path)) return key;
    return Passphrases(key_fd).unlock(locked, path).map([](Passphrases::Unlocked&& unlocked) {
        return std::move(unlocked.key);
    });
}

Result<OpenedDoor> open_door(const std::string& door, UnixTime now, std::optional<int> key_fd) {
    auto path = find_door(door);
    if (!path) return tl::unexpected(path.error());
    auto stored = read_stored_key(*path);
    if (!stored) return tl::unexpected(stored.error());
    if (const auto valid = check_not_expired(clear_part(*stored), *path, now); !valid)
        return tl::unexpected(valid.error());
    if (!is_encrypted(*stored)) return OpenedDoor{*std::move(path), std::get<KeyFile>(*std::move(stored))};
    auto key = unlock_key(std::get<EncryptedKey>(*stored), *path, key_fd);
    if (!key) return tl::unexpected(key.error());
    return OpenedDoor{*std::move(path), *std::move(key)};
}

Result<void> replace_stored_key(const KeysLock&, const std::string& path, const StoredKey& older,
                                const StoredKey& key) {
    if (!is_still_there(older, path))
        return fail(ExitCode::try_later,
                    printable(path) + " was changed meanwhile; nothing was changed, give the command again");
    const std::string real = real_path(path);
    struct stat before {};
    if (real.empty() || stat(real.c_str(), &before) != 0)
        return tl::unexpected(system_error("find", path, ExitCode::no_input));
    if (auto written = replace_file(real, stored_key_text(key).bytes()); !written) return written;
    if (is_encrypted(older)) kernel_keyring::forget(std::get<EncryptedKey>(older).lock);
    if (before.st_nlink > 1)
        log::warning(printable(real) + " had another name as well (a hard link), under which the key as it was " +
                     "before stays; find it with: find / -xdev -inum " + std::to_string(before.st_ino));
    return {};
}

Result<Service> find_service(const OpenedDoor& door, const std::string& word) {
    if (const auto found = door.key.services.find(word); found != door.key.services.end()) return found->second;
    if (const auto service = Service::parse(word)) return *service;
    std::vector<std::string> names;
    for (const auto& [name, service] : door.key.services) names.push_back(name);
    const std::string meant = did_you_mean(word, names);
    return fail(ExitCode::usage,
                "no service " + printable(word) + " in " + printable(door.path) +
                    ", which lists: " + services_text(door.key) +
                    (meant.empty() ? "; use one of these names, or a protocol and port such as tcp/22" : meant));
}

bool is_listed(const KeyFile& key, const Service& service) {
    return std::ranges::any_of(key.services, [&](const auto& entry) { return entry.second == service; });
}

}  // namespace oneknock

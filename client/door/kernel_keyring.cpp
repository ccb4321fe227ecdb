#include "client/door/kernel_keyring.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <keyutils.h>

#include "common/bytes.hpp"

namespace oneknock::kernel_keyring {
namespace {

constexpr const char* type = "user";
constexpr std::string_view prefix = "oneknock:";

// Each lock has a salt of its own, which is no secret.
std::string description(const KeyEncryption& lock) { return std::string(prefix) + to_hex(lock.salt); }

// Also without possession: where the session's keyring does not lead to the user's (as under systemd), the user's
// processes find the key but do not possess it. Nobody else, and no right to change it but its end.
constexpr key_perm_t permissions = KEY_POS_ALL | KEY_USR_VIEW | KEY_USR_READ | KEY_USR_SEARCH | KEY_USR_SETATTR;

key_serial_t search(const KeyEncryption& lock) {
    return static_cast<key_serial_t>(keyctl_search(KEY_SPEC_USER_KEYRING, type, description(lock).c_str(), 0));
}

bool remove(key_serial_t key) { return keyctl_revoke(key) == 0 && keyctl_unlink(key, KEY_SPEC_USER_KEYRING) == 0; }

tl::unexpected<Error> cannot_keep() {
    const std::string full = errno == EDQUOT ? "; make room with: oneknock lock" : "";
    return fail(ExitCode::unavailable, std::string("the kernel's keyring cannot keep the key: ") +
                                           std::strerror(errno) + full +
                                           "; type the passphrase for each knock, or see ONEKNOCK_ASKPASS and "
                                           "--key-fd in oneknock(1)");
}

bool is_ours(key_serial_t key) {
    char* text = nullptr;
    if (keyctl_describe_alloc(key, &text) < 0) return false;
    const std::unique_ptr<char, void (*)(void*)> owned(text, std::free);
    const std::string_view described = text;  // "user;0;0;1f3f0000;oneknock:..."
    return described.starts_with("user;") && described.substr(described.rfind(';') + 1).starts_with(prefix);
}

}  // namespace

// First in this process's own keyring, which goes with it: at no moment does the user's have a key without an end.
Result<void> keep(const KeyEncryption& lock, const Secret32& key, Seconds time) {
    const auto made = add_key(type, description(lock).c_str(), key.data(), Secret32::size, KEY_SPEC_PROCESS_KEYRING);
    if (made < 0) return cannot_keep();
    const bool kept = keyctl_setperm(made, permissions) == 0 &&
                      keyctl_set_timeout(made, static_cast<unsigned>(time.count())) == 0 &&
                      keyctl_link(made, KEY_SPEC_USER_KEYRING) == 0;
    const int error = errno;
    keyctl_unlink(made, KEY_SPEC_PROCESS_KEYRING);
    errno = error;
    if (!kept) return cannot_keep();
    return {};
}

std::optional<Secret32> find(const KeyEncryption& lock) {
    const auto key = search(lock);
    Secret32 secret;
    if (key < 0 || keyctl_read(key, reinterpret_cast<char*>(secret.bytes().data()), Secret32::size) != Secret32::size)
        return std::nullopt;
    return secret;
}

bool forget(const KeyEncryption& lock) {
    const auto key = search(lock);
    return key >= 0 && remove(key);
}

std::size_t forget_all() {
    void* content = nullptr;
    const int size = keyctl_read_alloc(KEY_SPEC_USER_KEYRING, &content);
    if (size < 0) return 0;
    const std::unique_ptr<void, void (*)(void*)> owned(content, std::free);
    std::size_t count = 0;
    const auto* keys = static_cast<const key_serial_t*>(content);
    for (std::size_t i = 0; i < static_cast<std::size_t>(size) / sizeof(key_serial_t); ++i)
        if (is_ours(keys[i]) && remove(keys[i])) ++count;
    return count;
}

}  // namespace oneknock::kernel_keyring

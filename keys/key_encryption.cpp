#include "keys/key_encryption.hpp"

#include <algorithm>

#include <sodium.h>

namespace oneknock {
namespace {

static_assert(KeyEncryption::salt_length == crypto_pwhash_SALTBYTES);
static_assert(KeyEncryption::sealed_length == 2 * Secret32::size + crypto_aead_xchacha20poly1305_ietf_ABYTES);
static_assert(Secret32::size == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

// Each key seals one text only, as each lock has a salt of its own.
constexpr Bytes<crypto_aead_xchacha20poly1305_ietf_NPUBBYTES> nonce{};

// What the secrets belong to.
std::string bound_to(const KeyFile& key) {
    Bytes<8> generations{};
    store_u32be(generations.data(), key.door.generation);
    store_u32be(generations.data() + 4, key.client.generation);
    return "oneknock/1 locked-client-key" + to_hex(key.door.id.bytes) + to_hex(generations) + key.client.name;
}

const std::uint8_t* bytes_of(const std::string& text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

// All but the secrets.
KeyFile copy_of_clear_part(const KeyFile& key) {
    KeyFile copy;
    copy.door = {key.door.name, key.door.address, key.door.id, key.door.span, Secret32(), key.door.generation};
    copy.client = {key.client.name, Secret32(), key.client.generation, key.client.source, key.client.max_duration};
    copy.services = key.services;
    copy.created = key.created;
    copy.expires = key.expires;
    return copy;
}

}  // namespace

Result<Secret32> unlocking_key(const SecretBytes& passphrase, const KeyEncryption& lock) {
    Secret32 key;
    if (crypto_pwhash(key.bytes().data(), Secret32::size, passphrase.text().data(), passphrase.text().size(),
                      lock.salt.data(), lock.operations, lock.memory, crypto_pwhash_ALG_ARGON2ID13) == 0)
        return key;
    return fail(ExitCode::data, "cannot derive the key from the passphrase: this needs " +
                                    std::to_string(lock.memory >> 20) + " MiB of memory, more than is available");
}

Result<EncryptedKey> encrypt_key(const KeyFile& key, const SecretBytes& passphrase, const PassphraseCost& cost) {
    EncryptedKey locked{copy_of_clear_part(key), {cost.operations, cost.memory, {}, {}}};
    fill_random(locked.lock.salt);
    const auto sealing = unlocking_key(passphrase, locked.lock);
    if (!sealing) return tl::unexpected(sealing.error());
    SecretBytes secrets(2 * Secret32::size);
    std::ranges::copy(key.door.secret.bytes(), secrets.bytes().begin());
    std::ranges::copy(key.client.secret.bytes(), secrets.bytes().begin() + Secret32::size);
    const std::string binding = bound_to(key);
    crypto_aead_xchacha20poly1305_ietf_encrypt(locked.lock.sealed.data(), nullptr, secrets.bytes().data(),
                                               secrets.bytes().size(), bytes_of(binding), binding.size(), nullptr,
                                               nonce.data(), sealing->data());
    wipe_traces();
    return locked;
}

Result<KeyFile> decrypt_key(const EncryptedKey& locked, const SecretBytes& passphrase, const std::string& name) {
    const auto unlocking = unlocking_key(passphrase, locked.lock);
    if (!unlocking) return tl::unexpected(unlocking.error());
    return decrypt_key(locked, *unlocking, name);
}

Result<KeyFile> decrypt_key(const EncryptedKey& locked, const Secret32& unlocking, const std::string& name) {
    SecretBytes secrets(2 * Secret32::size);
    const std::string binding = bound_to(locked.key);
    const int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
        secrets.bytes().data(), nullptr, nullptr, locked.lock.sealed.data(), locked.lock.sealed.size(),
        bytes_of(binding), binding.size(), nonce.data(), unlocking.data());
    wipe_traces();
    if (opened != 0) return fail(ExitCode::data, name + ": wrong passphrase (or the file was altered); try again");
    KeyFile key = copy_of_clear_part(locked.key);
    std::ranges::copy(secrets.bytes().first(Secret32::size), key.door.secret.bytes().begin());
    std::ranges::copy(secrets.bytes().last(Secret32::size), key.client.secret.bytes().begin());
    return key;
}

}  // namespace oneknock

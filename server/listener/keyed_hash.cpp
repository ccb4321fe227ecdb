#include "server/listener/keyed_hash.hpp"

#include <cstring>

#include <sodium.h>

namespace oneknock {

KeyedHash::KeyedHash() {
    static_assert(crypto_shorthash_KEYBYTES == sizeof key_);
    crypto_shorthash_keygen(key_.data());
}

std::uint64_t KeyedHash::operator()(ByteSpan bytes) const {
    std::uint8_t hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, bytes.data(), bytes.size(), key_.data());
    std::uint64_t value = 0;
    std::memcpy(&value, hash, sizeof value);
    return value;
}

}  // namespace oneknock

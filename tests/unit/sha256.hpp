// SHA-256 as hexadecimal, for comparing with known answers.
#pragma once

#include <string>

#include <sodium.h>

#include "common/bytes.hpp"

namespace oneknock {

inline std::string sha256_hex(ByteSpan bytes) {
    Bytes<crypto_hash_sha256_BYTES> hash;
    crypto_hash_sha256(hash.data(), bytes.data(), bytes.size());
    return to_hex(hash);
}

}  // namespace oneknock

// SipHash-2-4 with a random key of this process: hash tables that a stranger can fill stay flat.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/bytes.hpp"

namespace oneknock {

class KeyedHash {
public:
    KeyedHash();
    [[nodiscard]] std::uint64_t operator()(ByteSpan bytes) const;

private:
    Bytes<16> key_;
};

}  // namespace oneknock

// Secrets marked for valgrind as memory that was never written (as Adam Langley's ctgrind does): memcheck follows them
// through every computation, and complains where a branch or an address depends on one. What is computed stays right.
#pragma once

#include <cstddef>
#include <type_traits>

#include <valgrind/memcheck.h>

#include "common/secret.hpp"

namespace oneknock {

inline void hide(Secret32& secret) { VALGRIND_MAKE_MEM_UNDEFINED(secret.bytes().data(), Secret32::size); }
template <class T>
requires std::is_trivially_copyable_v<T>
void hide(T& value) { VALGRIND_MAKE_MEM_UNDEFINED(&value, sizeof value); }

// From here on it is no secret: each use says why.
inline void declassify(Secret32& secret) { VALGRIND_MAKE_MEM_DEFINED(secret.bytes().data(), Secret32::size); }
template <class T>
requires std::is_trivially_copyable_v<T>
void declassify(T& value) { VALGRIND_MAKE_MEM_DEFINED(&value, sizeof value); }

[[nodiscard]] inline Secret32 hidden_secret() {
    Secret32 secret = Secret32::random();
    hide(secret);
    return secret;
}

// How often memcheck has complained so far.
[[nodiscard]] inline std::size_t complaints() { return VALGRIND_COUNT_ERRORS; }

}  // namespace oneknock

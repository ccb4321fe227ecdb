// The one place that knows which Catch2 is installed: version 2 in Debian 12, version 3 later.
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#if defined(__has_feature)
#define ONEKNOCK_SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define ONEKNOCK_SANITIZED 1
#else
#define ONEKNOCK_SANITIZED 0
#endif

namespace oneknock::test {

// How often a test draws by chance what it tries: a tenth of it where the sanitizers look on, which see in the first
// trials what there is to see, and take ten times as long.
constexpr int trials(int number) { return ONEKNOCK_SANITIZED ? (number + 9) / 10 : number; }

int run_tests(int argc, char* argv[]);  // gives main's exit code

}  // namespace oneknock::test

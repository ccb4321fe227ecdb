// The one place that knows which Catch2 is installed: version 2 in Debian 12, version 3 later.
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

namespace oneknock::test {

int run_tests(int argc, char* argv[]);  // gives main's exit code

}  // namespace oneknock::test

// Catch2 itself, which takes longer to compile than any test.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.hpp"

int oneknock::test::run_tests(int argc, char* argv[]) { return Catch::Session().run(argc, argv); }

#define CATCH_CONFIG_RUNNER
#include "tests/catch.hpp"

#include "common/secret.hpp"

int main(int argc, char* argv[]) {
    oneknock::initialise_crypto();
    return Catch::Session().run(argc, argv);
}

#include "common/secret.hpp"
#include "tests/catch.hpp"

int main(int argc, char* argv[]) {
    oneknock::initialise_crypto();
    return oneknock::test::run_tests(argc, argv);
}

#include <csignal>

#include "common/secret.hpp"
#include "tests/catch.hpp"

int main(int argc, char* argv[]) {
    std::signal(SIGINT, SIG_DFL);  // ignored in what a script starts with `&`: a child that is sent Ctrl-C would go on
    oneknock::initialise_crypto();
    return oneknock::test::run_tests(argc, argv);
}

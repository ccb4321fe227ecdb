#include <cstdio>

#include <sched.h>
#include <unistd.h>

#include "tests/catch.hpp"

int main(int argc, char* argv[]) {
    constexpr int skipped = 77;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
        std::puts("skipped: needs root, for network namespaces");
        return skipped;
    }
    return oneknock::test::run_tests(argc, argv);
}

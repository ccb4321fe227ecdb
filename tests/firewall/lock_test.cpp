// One daemon per table and network namespace.
#include "server/firewall/table_lock.hpp"

#include <unistd.h>

#include "tests/catch.hpp"
#include "tests/firewall/network.hpp"

using namespace oneknock;
using namespace oneknock::test;

TEST_CASE("a table has one daemon in each network namespace") {
    const TestNetwork network;
    std::string folder = output("mktemp -d");
    folder.pop_back();
    const std::string run_folder = folder + "/oneknock";
    const FirewallConfig sets = using_sets("inet", "../a/b", "s", "");
    {
        const auto first = lock_table({}, run_folder);
        REQUIRE(first);
        const auto second = lock_table({}, run_folder);
        REQUIRE_FALSE(second);
        CHECK(second.error().code == ExitCode::unavailable);
        CHECK(second.error().message.find("another oneknockd (process " + std::to_string(getpid()) + ")") == 0);
        CHECK(lock_table(sets, run_folder));
        network.in_client([&] { CHECK(lock_table({}, run_folder)); });
    }
    CHECK(lock_table({}, run_folder));  // given back
    CHECK(output("ls " + run_folder + " | wc -l") == "3\n");
    CHECK(output("stat -c %a " + run_folder) == "755\n");
    run("rm -r " + folder);
}

TEST_CASE("nobody but its owner can hold the lock, also of a file that others could read") {
    const TestNetwork network;
    std::string folder = output("mktemp -d");
    folder.pop_back();
    CHECK(lock_table({}, folder));
    CHECK(output("stat -c %a " + folder + "/*") == "600\n");
    run("chmod 644 " + folder + "/*");
    CHECK(lock_table({}, folder));
    CHECK(output("stat -c %a " + folder + "/*") == "600\n");
    run("rm -r " + folder);
}

TEST_CASE("a run folder that cannot be made is an error that names it") {
    const auto lock = lock_table({}, "/proc/oneknock");
    REQUIRE_FALSE(lock);
    CHECK(lock.error().message.find("/proc/oneknock") != std::string::npos);
}

#include "client/commands/keep_open.hpp"

#include <csignal>

#include <unistd.h>

#include "client/commands/child.hpp"
#include "client_fixtures.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using namespace std::chrono_literals;

namespace {

Instant soon() { return read_clocks().steady + 60s; }

// The child takes signals over: the test's are as before at its end.
struct Signals {
    sigset_t before{};
    Signals() { sigprocmask(SIG_BLOCK, nullptr, &before); }
    ~Signals() { sigprocmask(SIG_SETMASK, &before, nullptr); }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;
};

}  // namespace

TEST_CASE("a service is kept open for what was asked, else as long as the key allows, up to five minutes") {
    KeyFile key = sample_key();
    KnockOptions options = sample_options();
    key.client.max_duration = 60s;
    CHECK(kept_duration(options, key) == 60s);
    key.client.max_duration = 1h;
    CHECK(kept_duration(options, key) == 300s);
    options.duration = 600s;
    CHECK(kept_duration(options, key) == 600s);
    key.client.max_duration = 30s;
    CHECK(kept_duration(options, key) == 30s);
}

TEST_CASE("two knocks may be lost before a grant ends, unless it is very short") {
    CHECK(renewal_interval(60s) == 20s);
    CHECK(renewal_interval(3s) == 1s);
    CHECK(renewal_interval(1s) == 1s);
}

TEST_CASE("a command's status is its own, or tells of the signal that ended it") {
    const Signals signals;
    const auto status = [](const char* script) { return Child::start({"sh", "-c", script})->wait_until(soon()); };
    CHECK(status("exit 7") == 7);
    CHECK(status("kill -9 $$") == 128 + SIGKILL);
    CHECK(Child::start({"/nowhere/at-all"}).error().code == ExitCode::no_input);
    CHECK(Child::start({"/etc/passwd"}).error().code == ExitCode::permission);
}

TEST_CASE("while a command runs, signals that are sent to this process reach it") {
    const Signals signals;
    auto child = Child::start({"sleep", "1000"});
    REQUIRE(child);
    CHECK_FALSE(child->wait_until(read_clocks().steady + 10ms));
    kill(getpid(), SIGTERM);
    CHECK(child->wait_until(soon()) == 128 + SIGTERM);
}

// What the rooms' filters forbid, tried from inside: each call in a process of its own that has put the filter on.
#include "server/privsep/sandbox.hpp"

#include <cerrno>
#include <csignal>
#include <functional>

#include <fcntl.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

// How a process ends that puts the filter on and then does this: its wait status.
int status_behind(Result<void> (*filter)(), const std::function<int()>& act) {
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        if (!filter()) _exit(99);
        _exit(act());
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return status;
}

// The errno of a call in the gatekeeper's place; 0 if it went through.
int gatekeepers(const std::function<long()>& call) {
    const int status = status_behind(deny_network_and_programs, [&] { return call() < 0 ? errno : 0; });
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) != 99);
    return WEXITSTATUS(status);
}

bool kills_listener(const std::function<void()>& call) {
    const int status = status_behind(allow_listener_calls_only, [&] {
        call();
        return 0;
    });
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

}  // namespace

TEST_CASE("the gatekeeper's filter forbids network, programs, processes, signals and ways out") {
    CHECK(gatekeepers([] { return socket(AF_INET, SOCK_DGRAM, 0); }) == EPERM);
    int pair[2];
    CHECK(gatekeepers([&] { return socketpair(AF_UNIX, SOCK_STREAM, 0, pair); }) == EPERM);
    CHECK(gatekeepers([] { return execl("/bin/true", "true", nullptr); }) == EPERM);
    CHECK(gatekeepers([] { return fork(); }) == EPERM);
    CHECK(gatekeepers([] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }) == EPERM);
    CHECK(gatekeepers([] { return kill(getppid(), 0); }) == EPERM);
    CHECK(gatekeepers([] { return syscall(SYS_tgkill, getppid(), getppid(), 0); }) == EPERM);
    CHECK(gatekeepers([] { return syscall(SYS_pidfd_open, getppid(), 0); }) == EPERM);
    CHECK(gatekeepers([] { return chroot("/"); }) == EPERM);
    CHECK(gatekeepers([] { return syscall(SYS_open_tree, AT_FDCWD, "/", 0); }) == EPERM);
    CHECK(gatekeepers([] { return syscall(SYS_io_uring_setup, 1, nullptr); }) == EPERM);
}

TEST_CASE("the gatekeeper puts no words into a terminal, however the request is written") {
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const char letter = 'x';
    // Behind the filter /dev/null would say ENOTTY.
    CHECK(gatekeepers([&] { return syscall(SYS_ioctl, null, TIOCSTI, &letter); }) == EPERM);
    CHECK(gatekeepers([&] { return syscall(SYS_ioctl, null, TIOCSTI | 1UL << 32, &letter); }) == EPERM);
    CHECK(gatekeepers([&] { return syscall(SYS_ioctl, null, TIOCLINUX, &letter); }) == EPERM);
    CHECK(gatekeepers([&] { return syscall(SYS_ioctl, null, TIOCGWINSZ, &letter); }) == ENOTTY);
    close(null);
}

TEST_CASE("a gatekeeper that aborts ends by the signal that says so") {
    const int status = status_behind(deny_network_and_programs, []() -> int {
        signal(SIGABRT, SIG_DFL);
        std::abort();
    });
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
}

TEST_CASE("whatever the listener's filter does not list kills it", "[unsanitized]") {
    CHECK_FALSE(kills_listener([] { poll(nullptr, 0, 0); }));
    CHECK(kills_listener([] { socket(AF_INET, SOCK_DGRAM, 0); }));
    CHECK(kills_listener([] { syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }));
    CHECK(kills_listener([] { kill(getppid(), 0); }));
    CHECK(kills_listener([] { execl("/bin/true", "true", nullptr); }));
    CHECK(kills_listener([] { fork(); }));
    CHECK(kills_listener([] { ioctl(STDIN_FILENO, TIOCSTI, "x"); }));
    CHECK(kills_listener([] { setsockopt(0, SOL_PACKET, PACKET_RX_RING, nullptr, 0); }));
    CHECK(kills_listener([] { mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }));
    CHECK(kills_listener([] { [[maybe_unused]] const auto wrote = write(STDOUT_FILENO, "", 0); }));
}

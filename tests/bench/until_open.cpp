// Measures how long a program takes to have a TCP port opened: until_open NAMESPACE ADDRESS PORT PROGRAM [ARGUMENT...]
//
// For each line on standard input it starts the program once and prints the nanoseconds from just before the start to
// an accepted connection; 0 if there is none for five seconds.
//
// It connects once at the start, and then whenever the firewall of NAMESPACE (a file of /run/netns, where the daemon
// is) has changed, as the kernel tells all who listen to nf_tables; every 5 ms as well, in case it changed otherwise.
// To try all the time would take a third of a processor from the client and the daemon, and measure that. Small and
// without an interpreter for the same reason; and one process for many knocks, so that its own start is no part of
// them.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

using Clock = std::chrono::steady_clock;
constexpr timespec pause_between{0, 5'000'000};
constexpr std::chrono::seconds patience{5};

bool connects(const sockaddr_in& to) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const linger reset_on_close{1, 0};
    const timeval longest{0, 500'000};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset_on_close, sizeof reset_on_close);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
    const bool connected = connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    close(fd);
    return connected;
}

pid_t start(char** command) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, 0, 1);
    posix_spawn_file_actions_adddup2(&actions, 0, 2);
    pid_t pid = -1;
    if (posix_spawn(&pid, command[0], &actions, nullptr, command, environ) != 0) std::exit(70);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

// A socket that hears of every change of the namespace's nf_tables.
int changes_of(const char* namespace_file) {
    const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
              there = open(namespace_file, O_RDONLY | O_CLOEXEC);
    if (setns(there, CLONE_NEWNET) != 0) return -1;
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1U << (NFNLGRP_NFTABLES - 1);
    const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    return setns(home, CLONE_NEWNET) == 0 && bound ? fd : -1;
}

void wait_for_change(int changes) {
    pollfd wait{changes, POLLIN, 0};
    ppoll(&wait, 1, &pause_between, nullptr);
    char message[8192];
    while (recv(changes, message, sizeof message, 0) > 0) {}
}

long long measure(const sockaddr_in& to, int changes, char** command) {
    const auto begin = Clock::now();
    const pid_t pid = start(command);
    bool connected = false;
    while (!(connected = connects(to)) && Clock::now() < begin + patience) wait_for_change(changes);
    const auto took = Clock::now() - begin;
    waitpid(pid, nullptr, 0);
    return connected ? std::chrono::nanoseconds(took).count() : 0;
}

}  // namespace

int main(int argc, char* argv[]) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    const int changes = argc > 4 ? changes_of(argv[1]) : -1;
    if (changes < 0 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
        std::fputs("until_open NAMESPACE ADDRESS PORT PROGRAM [ARGUMENT...], as root\n", stderr);
        return 64;
    }
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[3])));
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (std::getchar() == '\n') {
        std::printf("%lld\n", measure(to, changes, argv + 4));
        std::fflush(stdout);
    }
}

// Measures how long a program takes to have a TCP port opened: until_open ADDRESS PORT PROGRAM [ARGUMENT...]
//
// For each line on standard input it starts the program once and prints the nanoseconds from just before the start to an
// accepted connection; 0 if there is none for five seconds. Small and without an interpreter, so that measuring takes little
// from the processors that knock and daemon need; and one process for many knocks, so that its own start is no part of them.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::microseconds pause_between{200};
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

long long measure(const sockaddr_in& to, char** command) {
    const auto begin = Clock::now();
    const pid_t pid = start(command);
    bool connected = false;
    while (!(connected = connects(to)) && Clock::now() < begin + patience) std::this_thread::sleep_for(pause_between);
    const auto took = Clock::now() - begin;
    waitpid(pid, nullptr, 0);
    return connected ? std::chrono::nanoseconds(took).count() : 0;
}

}  // namespace

int main(int argc, char* argv[]) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    if (argc < 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
        std::fputs("until_open ADDRESS PORT PROGRAM [ARGUMENT...]\n", stderr);
        return 64;
    }
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (std::getchar() == '\n') {
        std::printf("%lld\n", measure(to, argv + 3));
        std::fflush(stdout);
    }
}

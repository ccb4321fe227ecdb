#include "common/startup.hpp"

#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include "common/log.hpp"
#include "common/result.hpp"

namespace oneknock {
namespace {

// What these did when the program was started: it outlives execve, so it is not ours to choose for others.
using Handler = void (*)(int);
Handler inherited_sigpipe = SIG_DFL, inherited_sigchld = SIG_DFL;

// Read-only: whoever writes there is told that it failed.
void fill_standard_descriptors() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        if (open("/dev/null", O_RDONLY | O_CLOEXEC) == fd) continue;  // the lowest that is free
        log::error("a standard descriptor is closed, and /dev/null cannot be opened in its place");
        _exit(static_cast<int>(ExitCode::software));
    }
}

}  // namespace

void prepare_process() {
    fill_standard_descriptors();
    inherited_sigpipe = std::signal(SIGPIPE, SIG_IGN);
    inherited_sigchld = std::signal(SIGCHLD, SIG_DFL);
}

void restore_signals() {
    std::signal(SIGPIPE, inherited_sigpipe);
    std::signal(SIGCHLD, inherited_sigchld);
}

}  // namespace oneknock

#include "client/commands/child.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/poll.hpp"
#include "common/startup.hpp"

namespace oneknock {
namespace {

sigset_t taken_over() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2}) sigaddset(&set, signal);
    return set;
}

// In the new process: runs the command, or tells why not (errno) on `report`, which a command that runs has closed.
[[noreturn]] void execute_or_report(std::vector<std::string>& words, const sigset_t& signals_before, int report) {
    sigprocmask(SIG_SETMASK, &signals_before, nullptr);
    execute(words);
    const int error = errno;
    static_cast<void>(!write(report, &error, sizeof error));
    _exit(static_cast<int>(ExitCode::unavailable));
}

int status_of(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace

void execute(std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    restore_signals();
    execvp(arguments.front(), arguments.data());
}

Result<Child> Child::start(std::vector<std::string> words) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected(system_error("run", words.front()));
    const Descriptor reports(ends[0]);
    Descriptor report(ends[1]);
    const sigset_t ours = taken_over();
    sigset_t before;
    sigprocmask(SIG_BLOCK, &ours, &before);
    Descriptor signals(signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
    const pid_t pid = signals ? fork() : -1;
    if (pid == 0) execute_or_report(words, before, report.get());
    if (pid < 0) return tl::unexpected(system_error("run", words.front()));
    report.reset();
    int error = 0;
    if (read(reports.get(), &error, sizeof error) != sizeof error) return Child(pid, std::move(signals));
    waitpid(pid, nullptr, 0);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return tl::unexpected(system_error("run", words.front(), ExitCode::unavailable));
}

std::optional<int> Child::wait_until(Instant due) {
    for (;;) {
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == pid_) return status_of(status);
        if (read_clocks().steady >= due) return std::nullopt;
        std::array<pollfd, 1> polls{pollfd{signals_.get(), POLLIN, 0}};
        poll_until(polls, due);
        if (polls[0].revents != 0) pass_signals_on();
    }
}

void Child::pass_signals_on() const {
    signalfd_siginfo signal{};
    while (read(signals_.get(), &signal, sizeof signal) == sizeof signal)
        if (signal.ssi_signo != SIGCHLD && signal.ssi_code <= 0) kill(pid_, static_cast<int>(signal.ssi_signo));
}

}  // namespace oneknock

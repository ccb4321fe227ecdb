#include "keys/keygen/setup/terminal.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/poll.hpp"

namespace oneknock::keygen {
namespace {

constexpr std::size_t longest_line = 4096;  // what a terminal gives at once

std::string trimmed(std::string_view line) {
    constexpr std::string_view blanks = " \t\r\n";
    const auto first = line.find_first_not_of(blanks);
    if (first == std::string_view::npos) return "";
    return std::string(line.substr(first, line.find_last_not_of(blanks) - first + 1));
}

void write_out(std::string_view text) { static_cast<void>(!write_all(STDERR_FILENO, as_bytes(text))); }

}  // namespace

Result<Terminal> Terminal::open() {
    if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0)
        return fail(ExitCode::usage,
                    "setup asks on a terminal, and there is none (over ssh: ssh -t). A script runs the commands one by "
                    "one: oneknock-keygen init, oneknock-keygen add, oneknockd --check-config, oneknockd --try 60, "
                    "oneknockctl confirm, systemctl enable --now oneknockd-guard oneknockd");
    sigset_t held, before;
    sigemptyset(&held);
    for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) sigaddset(&held, signal);
    sigprocmask(SIG_BLOCK, &held, &before);
    Descriptor breaks(signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!breaks) return tl::unexpected(system_error("make", "a descriptor for signals"));
    return Terminal(std::move(breaks), before);
}

Terminal::Terminal(Terminal&& other) noexcept : breaks_(std::move(other.breaks_)), before_(other.before_) {}

Terminal::~Terminal() {
    if (breaks_) sigprocmask(SIG_SETMASK, &before_, nullptr);
}

int Terminal::answers() const { return STDIN_FILENO; }

bool Terminal::is_broken_off() const {
    pollfd polled{breaks_.get(), POLLIN, 0};
    return poll(&polled, 1, 0) > 0;
}

void Terminal::say(std::string_view line) { write_out(std::string(line) + "\n"); }

void Terminal::show_command(std::string_view command) { say("\n# " + std::string(command)); }

Result<std::string> Terminal::read_line() const {
    std::array<pollfd, 2> polled{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{breaks_.get(), POLLIN, 0}};
    std::array<char, longest_line> line{};
    for (;;) {
        poll_until(polled, {});
        if (polled[1].revents != 0) {
            say("");  // behind the question
            return tl::unexpected(broken_off());
        }
        const auto got = read(STDIN_FILENO, line.data(), line.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) return tl::unexpected(broken_off());  // Ctrl-D, or the terminal is gone
        return trimmed({line.data(), static_cast<std::size_t>(got)});
    }
}

Result<std::string> Terminal::ask_once(const std::string& question, const std::string& proposal) const {
    write_out(question + (proposal.empty() ? "" : " [" + proposal + "]") + ": ");
    auto answer = read_line();
    if (answer && answer->empty()) return proposal;
    return answer;
}

}  // namespace oneknock::keygen

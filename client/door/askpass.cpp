#include "client/door/askpass.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/startup.hpp"

namespace oneknock {
namespace {

constexpr const char* usual_program = "/usr/bin/ssh-askpass";

// Neither our standard input nor our output is its: they may be ssh's.
[[noreturn]] void execute(const std::string& program, const std::string& question, int output) {
    const int nothing = open("/dev/null", O_RDONLY);
    unsetenv("SSH_ASKPASS_PROMPT");  // it asks for a passphrase, not for a confirmation
    restore_signals();
    if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0)
        execlp(program.c_str(), program.c_str(), question.c_str(), static_cast<char*>(nullptr));
    _exit(static_cast<int>(ExitCode::unavailable));
}

}  // namespace

std::optional<Askpass> Askpass::choose(const std::function<std::string(const char*)>& variable) {
    const std::string require = variable("SSH_ASKPASS_REQUIRE"), own = variable("ONEKNOCK_ASKPASS");
    const bool shown = !variable("DISPLAY").empty() || !variable("WAYLAND_DISPLAY").empty();
    if (require == "never" || (require != "force" && own.empty() && !shown)) return std::nullopt;
    const std::string ssh = variable("SSH_ASKPASS");
    const std::string program = !own.empty() ? own : !ssh.empty() ? ssh : usual_program;
    if (program == usual_program && access(usual_program, X_OK) != 0) return std::nullopt;
    return Askpass{program, require == "force" || require == "prefer"};
}

std::optional<Askpass> Askpass::choose() {
    return choose([](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value != nullptr ? value : "");
    });
}

Result<AskpassRun> AskpassRun::start(const std::string& program, const std::string& question) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected(system_error("run", program));
    Descriptor output(ends[0]);
    const Descriptor input(ends[1]);
    const pid_t pid = fork();
    if (pid == 0) execute(program, question, input.get());
    if (pid < 0) return tl::unexpected(system_error("run", program));
    return AskpassRun(pid, std::move(output));
}

bool AskpassRun::finish() {
    output_.reset();
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0)
        if (errno != EINTR) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace oneknock

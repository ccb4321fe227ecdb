#include "keys/keygen/setup/programs.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spawn.hpp"
#include "common/text.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

constexpr Seconds patience{20};  // with a program that was told to end

int status_of(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return static_cast<int>(ExitCode::system);
    return status_of(status);
}

Result<pid_t> start(const std::string& path, std::vector<std::string> words, bool silent = false) {
    words.insert(words.begin(), fs::path(path).filename().string());
    SpawnActions actions;
    actions.open(STDIN_FILENO, "/dev/null", O_RDONLY);
    if (silent)
        for (const int output : {STDOUT_FILENO, STDERR_FILENO}) actions.open(output, "/dev/null", O_WRONLY);
    return spawn(path, std::move(words), actions, POSIX_SPAWN_SETSID);
}

// Ended by what the terminal sends to all that belong to it: that was meant for us, and has met the new process before
// it had a session of its own.
bool is_of_terminal(int status) { return status == 128 + SIGINT || status == 128 + SIGQUIT || status == 128 + SIGHUP; }

}  // namespace

Result<std::string> daemon_program() {
    std::error_code error;
    const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
    if (error) return fail(ExitCode::system, "cannot read /proc/self/exe: " + error.message() + "; is /proc mounted?");
    for (const fs::path& path : {folder / "oneknockd", folder.parent_path() / "sbin/oneknockd"})
        if (access(path.c_str(), X_OK) == 0) return path.string();
    return fail(ExitCode::unavailable, "the program oneknockd is neither in " + folder.string() + " nor in " +
                                           (folder.parent_path() / "sbin").string() + "; install it first");
}

bool has_service_manager() {
    std::error_code error;
    if (!fs::is_directory("/run/systemd/system", error) || access(systemctl, X_OK) != 0) return false;
    return start(systemctl, for_units({"cat"}), true).map(wait_for) == 0;
}

std::vector<std::string> for_units(std::vector<std::string> words) {
    words.insert(words.end(), std::begin(units), std::end(units));
    return words;
}

Result<int> run_program(const std::string& path, const std::vector<std::string>& words) {
    constexpr int most_attempts = 3;
    for (int attempt = 1;; ++attempt) {
        auto status = start(path, words).map(wait_for);
        if (!status || !is_of_terminal(*status) || attempt == most_attempts) return status;
    }
}

Result<void> run_or_fail(const std::string& path, const std::vector<std::string>& words) {
    const std::string command = fs::path(path).filename().string() + " " + join(words, {}, " ");
    const auto status = run_program(path, words);
    if (!status) return tl::unexpected(status.error());
    if (*status == 0) return {};
    return fail(ExitCode::unavailable, command + " has failed with status " + std::to_string(*status));
}

Result<RunningProgram> RunningProgram::start(const std::string& path, std::vector<std::string> words) {
    return keygen::start(path, std::move(words)).map([](pid_t pid) { return RunningProgram(pid); });
}

std::optional<int> RunningProgram::ended() {
    int status = 0;
    if (pid_ <= 0 || waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    pid_ = -1;
    return status_of(status);
}

std::optional<int> RunningProgram::stop() {
    if (pid_ <= 0) return std::nullopt;
    kill(pid_, SIGTERM);
    for (const Instant end = read_clocks().steady + patience; read_clocks().steady < end; poll(nullptr, 0, 10))
        if (const auto status = ended()) return status;
    kill(pid_, SIGKILL);
    return wait_for(std::exchange(pid_, -1));
}

}  // namespace oneknock::keygen

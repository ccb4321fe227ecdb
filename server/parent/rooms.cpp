#include "server/parent/rooms.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spawn.hpp"

namespace oneknock {
namespace {

constexpr int first_end = STDERR_FILENO + 1;

// `ends` are above all the numbers that they will have, so that none takes another's place.
void give(SpawnActions& actions, const std::vector<Descriptor>& ends) {
    int number = first_end;
    for (const Descriptor& end : ends) actions.copy(end.get(), number++);
    actions.close_from(number);
}

// Copies of them, above the numbers that they will have.
Result<std::vector<Descriptor>> lift(const std::vector<Descriptor>& ends) {
    std::vector<Descriptor> lifted;
    for (const Descriptor& end : ends) {
        Descriptor copy(fcntl(end.get(), F_DUPFD_CLOEXEC, first_end + static_cast<int>(ends.size())));
        if (!copy) return tl::unexpected(system_error("copy", "a descriptor"));
        lifted.push_back(std::move(copy));
    }
    return lifted;
}

}  // namespace

Result<pid_t> start_room(RoomPlan plan) {
    auto path = companion_program(plan.program);
    if (!path) return tl::unexpected(path.error());
    const auto ends = lift(plan.ends);
    if (!ends) return tl::unexpected(ends.error());
    SpawnActions actions;
    give(actions, *ends);
    std::vector<std::string> words{plan.program};
    words.insert(words.end(), plan.arguments.begin(), plan.arguments.end());
    return spawn(*path, std::move(words), actions);
}

Result<std::string> companion_program(const std::string& name) {
    namespace fs = std::filesystem;
    std::error_code error;
    const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
    if (error) return fail(ExitCode::system, "cannot read /proc/self/exe: " + error.message() + "; is /proc mounted?");
    for (const fs::path& path : {folder / name, folder.parent_path() / "libexec/oneknock" / name})
        if (access(path.c_str(), X_OK) == 0) return path.string();
        else if (errno != ENOENT && errno != ENOTDIR)
            return tl::unexpected(system_error("execute", path.string(), ExitCode::unavailable));
    return fail(ExitCode::unavailable, "the program " + name + " is neither in " + folder.string() + " nor in " +
                                           (folder.parent_path() / "libexec/oneknock").string() +
                                           "; oneknockd needs it: install it as well");
}

std::string how_it_ended(int wait_status) {
    if (!WIFSIGNALED(wait_status)) return "exited with status " + std::to_string(WEXITSTATUS(wait_status));
    const int signal = WTERMSIG(wait_status);
    const std::string text = "was killed by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
    return signal == SIGKILL ? text + "; the kernel does that where memory runs out: see its log" : text;
}

bool has_said_why(int wait_status) {
    const int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 0;
    return status >= static_cast<int>(ExitCode::usage) && status <= static_cast<int>(ExitCode::config);
}

ExitCode exit_code_after(int wait_status) {
    if (has_said_why(wait_status)) return static_cast<ExitCode>(WEXITSTATUS(wait_status));
    constexpr int defects[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
    const bool is_ours = WIFSIGNALED(wait_status)
                             ? std::ranges::find(defects, WTERMSIG(wait_status)) != std::end(defects)
                             : WEXITSTATUS(wait_status) == 0;
    return is_ours ? ExitCode::software : ExitCode::system;
}

}  // namespace oneknock

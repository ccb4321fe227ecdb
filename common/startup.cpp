#include "common/startup.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "common/log.hpp"

namespace oneknock {
namespace {

// What most systems give.
constexpr rlim_t enough_descriptors = 1024, enough_stack = 8 << 20;

// What these did when the program was started, and which modes its files got: that outlives execve, so it is not ours
// to choose for others.
using Handler = void (*)(int);
struct Inherited {
    int signal;
    Handler handler;
};
Inherited inherited[] = {{SIGPIPE, SIG_DFL}, {SIGXFSZ, SIG_DFL}, {SIGCHLD, SIG_DFL}};
mode_t inherited_umask = 0;

bool is_folder(int fd) {
    struct stat info {};
    return fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
}

// Nothing comes from it, and a write to it fails. Containers may have no /dev/null, or something else in its place
// that must neither block nor be a way into the file system: then a pipe to which nobody writes does as well.
Descriptor open_nothing() {
    Descriptor null(open("/dev/null", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (null && !is_folder(null.get())) return null;
    null.reset();
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return {};
    close(ends[1]);
    return Descriptor(ends[0]);
}

[[noreturn]] void end_for_lack_of_descriptors() {
    log::error(system_error("open", "/dev/null in the place of a standard descriptor").message);
    _exit(static_cast<int>(ExitCode::system));
}

// In order, so that each new descriptor is the lowest that is free.
void fill_standard_descriptors() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(fd, F_GETFD) < 0 && open_nothing().release() != fd) end_for_lack_of_descriptors();
}

void raise_limit(decltype(RLIMIT_NOFILE) of, rlim_t enough) {
    rlimit limit{};
    if (getrlimit(of, &limit) != 0 || limit.rlim_cur >= enough) return;
    limit.rlim_cur = std::min(limit.rlim_max, enough);
    setrlimit(of, &limit);
}

}  // namespace

void prepare_process() {
    fill_standard_descriptors();
    for (auto& [signal, handler] : inherited) handler = std::signal(signal, signal == SIGCHLD ? SIG_DFL : SIG_IGN);
    inherited_umask = umask(022);
}

void restore_signals() {
    for (const auto& [signal, handler] : inherited) std::signal(signal, handler);
    umask(inherited_umask);
}

Result<void> prepare_daemon() {
    closefrom(STDERR_FILENO + 1);
    raise_limit(RLIMIT_NOFILE, enough_descriptors);
    raise_limit(RLIMIT_STACK, enough_stack);
    const Descriptor nothing = open_nothing();
    const bool done = nothing && dup2(nothing.get(), STDIN_FILENO) >= 0 && dup2(nothing.get(), STDOUT_FILENO) >= 0 &&
                      (!is_folder(STDERR_FILENO) || dup2(nothing.get(), STDERR_FILENO) >= 0);
    if (done) return {};
    return tl::unexpected(system_error("open", "/dev/null"));
}

void end_for_lack_of_memory() {
    const std::string_view parts[] = {program_invocation_short_name,
                                      ": error: there is not enough memory; is a limit set (ulimit -v, ulimit -d, "
                                      "MemoryMax=)?\n"};
    for (const std::string_view part : parts) static_cast<void>(!write(STDERR_FILENO, part.data(), part.size()));
    _exit(static_cast<int>(ExitCode::system));
}

}  // namespace oneknock

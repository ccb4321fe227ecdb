#include "common/spawn.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <unistd.h>

namespace oneknock {
namespace {

class SpawnAttributes {
public:
    explicit SpawnAttributes(short flags) {
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_init(&attributes_);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setflags(&attributes_,
                                 static_cast<short>(flags | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    }
    ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
    SpawnAttributes(const SpawnAttributes&) = delete;
    SpawnAttributes& operator=(const SpawnAttributes&) = delete;
    [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

private:
    posix_spawnattr_t attributes_;
};

Error cannot_start(const std::string& program, int error) {
    const char* const limit =
        error == EAGAIN ? "; is a limit of processes set (ulimit -u, TasksMax= or LimitNPROC= in the unit)?" : "";
    return {error == EACCES ? ExitCode::permission : ExitCode::system,
            "cannot start " + program + ": " + std::strerror(error) + limit};
}

}  // namespace

Result<pid_t> spawn(const std::string& path, std::vector<std::string> words, const SpawnActions& actions, short flags) {
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t pid = -1;
    const int error = actions.error() != 0 ? actions.error()
                                           : posix_spawn(&pid, path.c_str(), actions.get(),
                                                         SpawnAttributes(flags).get(), arguments.data(), environ);
    if (error != 0) return tl::unexpected(cannot_start(path, error));
    return pid;
}

}  // namespace oneknock

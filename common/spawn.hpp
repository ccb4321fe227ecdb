// Other programs, started by posix_spawn(3): nothing of this process's memory is in theirs.
#pragma once

#include <string>
#include <vector>

#include <spawn.h>
#include <sys/types.h>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

// Which descriptors the new process has. What is not named stays as it is: those that are close-on-exec are closed.
class SpawnActions {
public:
    SpawnActions() { posix_spawn_file_actions_init(&actions_); }
    ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;

    void open(int number, const char* path, int flags) {
        note(posix_spawn_file_actions_addopen(&actions_, number, path, flags, 0));
    }
    void copy(int from, int number) { note(posix_spawn_file_actions_adddup2(&actions_, from, number)); }
    void close_from(int number) { note(posix_spawn_file_actions_addclosefrom_np(&actions_, number)); }
    [[nodiscard]] int error() const { return error_; }  // of the first that was not taken
    [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
    void note(int error) {
        if (error_ == 0) error_ = error;
    }

    posix_spawn_file_actions_t actions_;
    int error_ = 0;
};

// The program at `path`; the first of `words` is its name. All signals are as at the start of a system, and none is
// held back. `flags`: further ones of posix_spawnattr_setflags(3).
[[nodiscard]] Result<pid_t> spawn(const std::string& path, std::vector<std::string> words, const SpawnActions& actions,
                                  short flags = 0);

}  // namespace oneknock

// The programs that setup starts, from fixed places and without a shell: the daemon and systemctl.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace oneknock::keygen {

// oneknockd beside this program, or in the sbin beside its bin.
[[nodiscard]] Result<std::string> daemon_program();

// systemd has started this system (sd_booted(3)) and knows the daemon's units.
[[nodiscard]] bool has_service_manager();

// Runs it to its end, in a session of its own: Ctrl-C at the terminal is for this program, which undoes things in
// order. What it says goes to the terminal. Its exit status; 128 and the signal's number for one that a signal ended.
[[nodiscard]] Result<int> run_program(const std::string& path, const std::vector<std::string>& words);
// The same, where another status than 0 is an error.
[[nodiscard]] Result<void> run_or_fail(const std::string& path, const std::vector<std::string>& words);

inline constexpr const char* systemctl = "/usr/bin/systemctl";
inline constexpr const char* units[] = {"oneknockd-guard.service", "oneknockd.service"};
// "systemctl WORDS oneknockd-guard.service oneknockd.service"
[[nodiscard]] std::vector<std::string> for_units(std::vector<std::string> words);

// One that runs on. It is told to end (SIGTERM), and waited for, when this object goes; one that does not end is
// killed.
class RunningProgram {
public:
    [[nodiscard]] static Result<RunningProgram> start(const std::string& path, std::vector<std::string> words);
    ~RunningProgram() { stop(); }
    RunningProgram(RunningProgram&& other) noexcept : pid_(other.pid_) { other.pid_ = -1; }
    RunningProgram& operator=(RunningProgram&&) = delete;
    RunningProgram(const RunningProgram&) = delete;
    RunningProgram& operator=(const RunningProgram&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    // Its status, if it has ended; once.
    [[nodiscard]] std::optional<int> ended();
    // Its status, unless that is known already.
    std::optional<int> stop();
    // It goes on without us.
    void let_go() { pid_ = -1; }

private:
    explicit RunningProgram(pid_t pid) : pid_(pid) {}

    pid_t pid_;
};

}  // namespace oneknock::keygen

// A command that runs while this program goes on, as if it had been started in its place.
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

// Runs the command in this program's place, with the signals that this program found. Returns only on failure, and
// errno says why.
void execute(std::vector<std::string>& words);

// One at a time: it takes over the signals of this process. Those that some process sends (kill) are passed on to the
// command; those of the terminal (Ctrl-C) it gets by itself.
class Child {
public:
    // `words` is the command and its arguments, not empty. Its signals are as this program found them. One that cannot
    // be run is ExitCode::unavailable.
    [[nodiscard]] static Result<Child> start(std::vector<std::string> words);

    // Once it has ended: its status, and for one that a signal ended 128 and the signal's number, as shells have it.
    // Nothing at `due`.
    [[nodiscard]] std::optional<int> wait_until(Instant due);

private:
    Child(pid_t pid, Descriptor signals) : pid_(pid), signals_(std::move(signals)) {}
    void pass_signals_on() const;

    pid_t pid_;
    Descriptor signals_;
};

}  // namespace oneknock

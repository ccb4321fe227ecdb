// A program that asks for a passphrase where no terminal is, as ssh has it (ssh(1), SSH_ASKPASS).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <sys/types.h>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

struct Askpass {
    std::string program;
    bool before_terminal = false;  // also where there is one

    // Whether and how one is to be used, by the environment, which `variable` reads ("" where one is not set).
    //  - The program is ONEKNOCK_ASKPASS, else SSH_ASKPASS, else /usr/bin/ssh-askpass.
    //  - SSH_ASKPASS_REQUIRE is "never", "prefer" (before a terminal), "force" (likewise, and without a display), else
    //    where there is no terminal. Without "force", SSH_ASKPASS needs a display; ONEKNOCK_ASKPASS is for us alone
    //    and does not.
    [[nodiscard]] static std::optional<Askpass> choose(const std::function<std::string(const char*)>& variable);
    [[nodiscard]] static std::optional<Askpass> choose();
};

// It while it runs, with the question as its argument. What it prints is the answer.
class AskpassRun {
public:
    [[nodiscard]] static Result<AskpassRun> start(const std::string& program, const std::string& question);

    [[nodiscard]] int output() const { return output_.get(); }
    // Waits for its end; true if that was one with an answer.
    [[nodiscard]] bool finish();

private:
    AskpassRun(pid_t pid, Descriptor output) : pid_(pid), output_(std::move(output)) {}

    pid_t pid_;
    Descriptor output_;
};

}  // namespace oneknock

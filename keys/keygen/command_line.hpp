// The program's words and options (CLI11 behind it).
#pragma once

#include <optional>

#include "keys/keygen/commands/commands.hpp"

namespace oneknock::keygen {

// Without a command everything is said already: help, version, or what is wrong with the words.
struct CommandLine {
    std::optional<Command> command;
    ExitCode exit = ExitCode::ok;
};
[[nodiscard]] CommandLine parse_command_line(int argc, char** argv);

}  // namespace oneknock::keygen

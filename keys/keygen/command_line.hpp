// The program's words and options (CLI11 behind it).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/result.hpp"
#include "keys/keygen/commands/commands.hpp"

namespace oneknock::keygen {

// The command, or the text that was asked for instead (help, version). `words` without the program's name; errors are
// ExitCode::usage.
[[nodiscard]] Result<std::variant<std::string, Command>> parse_command_line(std::vector<std::string> words);

}  // namespace oneknock::keygen

// Asks the person at the terminal, whatever standard input and output are.
#pragma once

#include <string>

#include "common/result.hpp"

namespace oneknock {

// What was typed in answer, without its line feed. No terminal, or no answer: ExitCode::no_input.
[[nodiscard]] Result<std::string> ask_on_terminal(const std::string& question);

}  // namespace oneknock

// The one table of subcommands and options (CLI11 behind it).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "client/options/options.hpp"
#include "common/result.hpp"

namespace oneknock {

// --help or --version: print this and be done.
struct ShowText {
    std::string text;
};

using Command = std::variant<ShowText, KnockOptions, ConnectOptions, RunOptions, ImportOptions, PassphraseOptions,
                             PageOptions, ListOptions>;

// `words` without the program's name. Errors are ExitCode::usage.
[[nodiscard]] Result<Command> parse_command_line(std::vector<std::string> words);

}  // namespace oneknock

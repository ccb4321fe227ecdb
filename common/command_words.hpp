// The words of a command line, understood alike by all programs (CLI11 behind it): help and version, and what a wrong
// word was probably meant to be.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/completion.hpp"
#include "common/result.hpp"

namespace CLI {
class App;
}

namespace oneknock {

// How the help of `app` looks, and its options -h, --help, -V and --version. `examples`: lines for the end of the help,
// each indented by two spaces.
void set_help_form(CLI::App& app, const std::string& version, const std::string& examples);

// Fills in what the options of `app` are bound to; `words` without the program's name. The text, if help or the version
// was asked for ("help [COMMAND]" does as well): it is to be printed instead. Errors are ExitCode::usage; they name the
// wrong word, the nearest right one, and where all of them are found. Where a shell asks what may come next
// (completion_word), that is the text.
[[nodiscard]] Result<std::optional<std::string>> parse_words(CLI::App& app, std::vector<std::string> words,
                                                             const ValuesOf& values_of = no_values);

}  // namespace oneknock

// The subcommands' words: their options, arguments and help.
#pragma once

#include <optional>

#include <CLI/CLI.hpp>

#include "keys/keygen/commands/commands.hpp"

namespace oneknock::keygen {

// Adds the subcommands to `app`. The one that is given fills `command`, which must live as long.
void declare_commands(CLI::App& app, std::optional<Command>& command);

}  // namespace oneknock::keygen

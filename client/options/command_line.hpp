// The one table of subcommands and options (CLI11 behind it).
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "client/options/door_defaults.hpp"
#include "client/options/options.hpp"
#include "common/completion.hpp"
#include "common/result.hpp"

namespace oneknock {

// --help or --version: print this and be done.
struct ShowText {
    std::string text;
};

using Command = std::variant<ShowText, KnockOptions, ConnectOptions, RunOptions, RotateOptions, DoctorOptions,
                             ExplainOptions, EnrolOptions, ImportOptions, PassphraseOptions, ListOptions, RemoveOptions,
                             SetOptions, UnlockOptions, LockOptions, PageOptions, SshConfigOptions>;

// What is set for the door of this name.
using DefaultsOf = std::function<Result<DoorDefaults>(const std::string& door)>;

// `words` without the program's name. What they leave out may be set for the door. Errors are ExitCode::usage, or those
// of `defaults_of`.
[[nodiscard]] Result<Command> parse_command_line(
    std::vector<std::string> words, const DefaultsOf& defaults_of = [](const std::string&) { return DoorDefaults{}; },
    const ValuesOf& values_of = no_values);

}  // namespace oneknock

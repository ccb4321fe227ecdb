// What a door's own file adds to the command line: the options that `oneknock set` keeps in NAME.conf beside the key,
// under their names and with their values on the command line, which goes before them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/options/options.hpp"
#include "common/secret.hpp"

namespace oneknock {

using OptionValues = std::map<std::string, std::string>;  // {"via", "tcp"}

// The options that may have a default: "for", "via", ... and "family", which is 4 or 6.
[[nodiscard]] std::vector<std::string> names_of_defaults();
[[nodiscard]] Result<void> check_name(const std::string& name);

// Each by itself and all together. ExitCode::usage, naming the option.
[[nodiscard]] Result<void> check_values(const OptionValues& values);

// Puts them where the command line says nothing.
void fill_in(KnockWords& words, const OptionValues& values);

// The file: of JSON, like a key. Errors name it, the field and what to do.
[[nodiscard]] Result<OptionValues> parse_defaults(std::string_view text, const std::string& path);
[[nodiscard]] SecretBytes defaults_text(const OptionValues& values);

struct DoorDefaults {
    std::string path;  // "" where there are none
    OptionValues values;
};
// Those of the imported door of this name; none of a path, or where nothing was set. The file must belong to this user
// or root, and nobody else may write to it: it can open the door for another address.
[[nodiscard]] Result<DoorDefaults> read_defaults(const std::string& door);
[[nodiscard]] Result<OptionValues> read_defaults_file(const std::string& path);

}  // namespace oneknock

// The commands that setup does the work of, as a script would have them: without what is the default.
#pragma once

#include <string>

#include "keys/keygen/commands/commands.hpp"

namespace oneknock::keygen {

[[nodiscard]] std::string keygen_command(const Init& door, const std::string& words);
[[nodiscard]] std::string init_command(const Init& door);
[[nodiscard]] std::string add_command(const Init& door, const Add& add);
[[nodiscard]] std::string daemon_command(const Init& door, const std::string& words);

}  // namespace oneknock::keygen

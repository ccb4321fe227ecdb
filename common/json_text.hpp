// JSON for people and other programs to read: whatever prints a value comes here.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace oneknock::json {

// On one line, without a line feed. No control character is left in it, neither ASCII's nor those of ISO 8859 (U+0080
// to U+009F): they are escaped, and what is not UTF-8 is replaced.
[[nodiscard]] std::string text(const nlohmann::ordered_json& value);

}  // namespace oneknock::json

// Names of doors, clients and services: the only strings of ours that end up in file names and log lines.
#pragma once

#include <string_view>

namespace oneknock {

// 1..64 of A-Z a-z 0-9 . _ - @, starting with a letter or digit.
[[nodiscard]] bool is_valid_name(std::string_view name);
inline constexpr std::string_view name_rule =
    "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - @ and starts with a letter or digit";

// What Linux accepts as the name of a network interface: 1..15 characters, no '/', no white space, not "." or "..".
[[nodiscard]] bool is_valid_interface_name(std::string_view name);

}  // namespace oneknock

// Names of doors, clients and services: the only strings of ours that end up in file names and log lines.
#pragma once

#include <cstddef>
#include <string_view>

namespace oneknock {

// 1..64 of A-Z a-z 0-9 . _ - @, starting with a letter or digit.
[[nodiscard]] bool is_valid_name(std::string_view name);
inline constexpr std::size_t longest_name = 64;
inline constexpr std::string_view name_rule =
    "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - @ and starts with a letter or digit";

// What Linux accepts as the name of a network interface: 1..15 characters, no '/' or ':', no white space, not "." or
// "..". Control characters are refused as well.
[[nodiscard]] bool is_valid_interface_name(std::string_view name);
inline constexpr std::size_t longest_interface_name = 15;  // IFNAMSIZ - 1
inline constexpr std::string_view interface_rule =
    "an interface's name has 1 to 15 characters, no white space, no '/' and no ':'";

// A door's address: the characters of host names and numeric addresses (with a scope, "fe80::1%eth0"). Whether the
// host exists is found out when it is used.
[[nodiscard]] bool is_valid_host(std::string_view host);
inline constexpr std::size_t longest_host = 253;  // of a name in the DNS
inline constexpr std::string_view host_rule =
    "an address is a host name (international ones as xn--...) or numeric, without brackets and white space, at most "
    "253 characters";

}  // namespace oneknock

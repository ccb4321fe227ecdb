// What ssh_config(5) is to say so that ssh knocks by itself. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/protocol/address.hpp"

namespace oneknock {

// The door's name here and its address, either of which may follow `ssh`.
struct SshHost {
    std::string door;
    std::string address;
    std::string service_name;  // as on the command line
    Service service;           // of TCP
};
// Ends in a line feed.
[[nodiscard]] std::string ssh_stanza(const SshHost& host);

// The stanza in a file of its own, which says whose it is, and whether a file is such a one.
[[nodiscard]] std::string ssh_file(const SshHost& host);
[[nodiscard]] bool is_ssh_file(std::string_view text);

// Of ssh_config(5): relative to ~/.ssh.
inline constexpr std::string_view ssh_include = "Include oneknock.d/*.conf";

// The user's configuration with our line at its top, where no Host or Match limits it; the same where it is there
// already. `nothing`: there is no configuration yet.
[[nodiscard]] std::string with_include(std::optional<std::string_view> config);
// The configuration without that line; nothing, if it is the one that with_include made of nothing.
[[nodiscard]] std::optional<std::string> without_include(std::string_view config);

}  // namespace oneknock

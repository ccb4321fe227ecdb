// The journal's own protocol (systemd.journal-fields(7)): a line with fields beside it, by which journalctl finds it:
// `journalctl ONEKNOCK_CLIENT=laptop`. One datagram each.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/fd.hpp"

namespace oneknock::journal {

inline constexpr const char* socket_path = "/run/systemd/journal/socket";

// The name has capitals, digits and '_' only; the value is made printable.
struct Field {
    std::string_view name;
    std::string value;
};

// Connected and non-blocking; empty where there is none.
[[nodiscard]] Descriptor connect(const std::string& path = socket_path);

// A datagram. `priority` is syslog's. A long line is cut.
[[nodiscard]] std::string entry(char priority, std::string_view line, std::span<const Field> fields);

}  // namespace oneknock::journal

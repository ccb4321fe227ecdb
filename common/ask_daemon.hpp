// One question to the daemon over its control socket.
#pragma once

#include <cstddef>
#include <string>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

// No daemon there is ExitCode::unavailable, no permission ExitCode::permission.
[[nodiscard]] Result<Descriptor> connect_to_daemon(const std::string& socket, Seconds patience);

// Holds 65,536 grants, the most that there are, of at most 200 bytes each.
inline constexpr std::size_t largest_answer = 16 << 20;

// The daemon's answer, a JSON text, whole within `patience` and not larger than that. Its strings are printable().
[[nodiscard]] Result<std::string> ask(const Descriptor& daemon, const std::string& socket, const std::string& question,
                                      Seconds patience);

}  // namespace oneknock

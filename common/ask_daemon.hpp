// One question to the daemon over its control socket.
#pragma once

#include <string>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

// No daemon there is ExitCode::unavailable, no permission ExitCode::permission.
[[nodiscard]] Result<Descriptor> connect_to_daemon(const std::string& socket, Seconds patience);

// The daemon's answer, a JSON text.
[[nodiscard]] Result<std::string> ask(const Descriptor& daemon, const std::string& socket, const std::string& question,
                                      Seconds patience);

}  // namespace oneknock

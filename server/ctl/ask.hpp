// One question to the daemon over its control socket.
#pragma once

#include <string>

#include "common/result.hpp"

namespace oneknock {

// The daemon's answer, a JSON text, for which a question that has it read files is given a minute, others five seconds.
// No daemon there is ExitCode::unavailable, no permission ExitCode::permission.
[[nodiscard]] Result<std::string> ask(const std::string& socket, const std::string& question);

}  // namespace oneknock

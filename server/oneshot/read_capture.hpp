// oneknockd --read: explains a capture file with the real parser, assembler and policy, in one process without any
// privilege, with the packets' own timestamps as its clock and a replay record in memory.
#pragma once

#include <string>

#include "common/result.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

// Prints a line (or a JSON object) for each decision to standard output.
[[nodiscard]] Result<void> read_capture(const DaemonConfig& config, const std::string& file, bool as_json);

}  // namespace oneknock

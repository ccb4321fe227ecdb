// The listener's process: packets from the captures to the assembler, candidates to the gatekeeper.
#pragma once

#include <string>
#include <vector>

#include "server/privsep/channel.hpp"
#include "server/privsep/sandbox.hpp"

namespace oneknock {

// Runs until the gatekeeper's end is closed, and returns the process's exit code. Writes one byte to `ready` when
// everything is open and everything else given up.
[[nodiscard]] ExitCode run_listener(const std::vector<std::string>& interfaces, const Identity& identity,
                                    Channel gatekeeper, Descriptor ready);

}  // namespace oneknock

// The gatekeeper's process: candidates in, decisions, grant requests out; keys by descriptor; the control socket.
#pragma once

#include "keys/config/daemon_config.hpp"
#include "server/privsep/channel.hpp"
#include "server/privsep/sandbox.hpp"

namespace oneknock {

// Runs until an end is closed, and returns the process's exit code. Says Ready to the firewall when the keys are
// loaded, the record is open and everything else given up.
[[nodiscard]] ExitCode run_gatekeeper(const DaemonConfig& config, const Identity& identity, Channel listener,
                                      Channel firewall, Channel keys, Descriptor control_socket);

}  // namespace oneknock

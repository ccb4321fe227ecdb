// The gatekeeper's loop: candidates in, decisions, grant requests out; keys by descriptor; the control socket.
#pragma once

#include "server/privsep/channel.hpp"
#include "server/privsep/sandbox.hpp"

namespace oneknock {

// What the process is started with (privsep/inherited_fds.hpp).
struct GatekeeperParts {
    Channel listener, parent, keys;
    Descriptor control_socket;  // listening
    Descriptor state;           // the folder of the record, O_PATH
};

// Runs until an end is closed, and returns the process's exit code. Says Ready to the parent when the keys are loaded,
// the record is open and everything else given up.
[[nodiscard]] ExitCode run_gatekeeper(GatekeeperParts parts, const Identity& identity);

}  // namespace oneknock

// What the daemon has on disk and in /run: the locks, the state folder, the control socket.
#pragma once

#include "common/fd.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/privsep/sandbox.hpp"

namespace oneknock {

struct RuntimeFiles {
    Descriptor table_lock;
    Descriptor state_lock;
    Descriptor control_socket;  // listening

    // Takes the locks, makes the state folder (0700) and the socket (0660) with their owner. A second daemon on the
    // same table or state folder is refused with ExitCode::unavailable. `without_table`: a dry run shares it.
    [[nodiscard]] static Result<RuntimeFiles> prepare(const DaemonConfig& config, const Identity& identity,
                                                      bool without_table);

    void close();
};

}  // namespace oneknock

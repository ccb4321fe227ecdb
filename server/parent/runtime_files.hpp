// What the daemon has on disk and in /run: the locks, the state folder, the control socket.
#pragma once

#include "common/fd.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/privsep/identity.hpp"

namespace oneknock {

struct RuntimeFiles {
    Descriptor table_lock;
    Descriptor state_lock;
    Descriptor state;           // the folder, O_PATH
    Descriptor control_socket;  // listening

    // Takes the locks, makes the state folder (0700) and the socket (0660) with their owner. A second daemon on the
    // same table, state folder or socket is refused with ExitCode::unavailable. `without_table`: a dry run shares it.
    [[nodiscard]] static Result<RuntimeFiles> prepare(const DaemonConfig& config, const Identity& identity,
                                                      bool without_table);
};

// The state folder is given to another user, so nothing else of the daemon's may lie in it: ExitCode::config if it is
// the folder of the configuration, of the door's file or of the clients' files.
[[nodiscard]] Result<void> check_state_folder(const DaemonConfig& config);

}  // namespace oneknock

// oneknockd --guard and --remove.
#pragma once

#include "common/result.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

// Makes our table, for a unit before the network is up; the daemon adopts it later. Reads the door's file alone: no
// client's file can keep the ports from being closed.
[[nodiscard]] Result<void> set_guard_up(const DaemonConfig& config);

// Takes our table away, or in set mode our elements. ExitCode::unavailable while a daemon runs.
[[nodiscard]] Result<void> remove_guard(const DaemonConfig& config);

}  // namespace oneknock

// oneknockd --check-config.
#pragma once

#include "common/result.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

// Reads everything the daemon would read, changes nothing, and says what it would run with. The first thing that is
// wrong is the error.
[[nodiscard]] Result<void> check_config(const DaemonConfig& config);

}  // namespace oneknock

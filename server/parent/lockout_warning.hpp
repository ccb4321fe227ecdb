// Warns an administrator who is about to be locked out.
#pragma once

#include <vector>

#include "common/protocol/address.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

// A warning if the daemon was started from an ssh session ($SSH_CONNECTION) whose port the guard closes: the session
// lives on, a new one needs a knock.
void warn_of_lock_out(const DaemonConfig& config, const std::vector<Service>& services);

}  // namespace oneknock

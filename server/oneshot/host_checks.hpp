// What can be found wrong with this host, its firewall aside.
#pragma once

#include "common/findings.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/privsep/identity.hpp"

namespace oneknock {

[[nodiscard]] Finding check_user(const DaemonConfig& config, const Identity& identity);
// A server whose clock is off refuses knocks as stale or future.
[[nodiscard]] Finding check_clock(const DaemonConfig& config);
// Whether packets may be captured at all.
[[nodiscard]] Finding check_capture();
// One of those that are named, or any.
[[nodiscard]] Finding check_interface(const std::string& name);

}  // namespace oneknock

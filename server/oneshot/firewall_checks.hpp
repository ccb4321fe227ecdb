// What can be found wrong with nftables: our table, and what others have beside it.
#pragma once

#include <vector>

#include "common/findings.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

void check_firewall(Findings& findings, const DaemonConfig& config, const std::vector<Service>& services);

}  // namespace oneknock

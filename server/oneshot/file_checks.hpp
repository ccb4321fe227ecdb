// What can be found wrong with the files of a door.
#pragma once

#include "common/findings.hpp"
#include "keys/config/daemon_config.hpp"
#include "keys/keyring.hpp"
#include "server/privsep/identity.hpp"

namespace oneknock {

// Who could change them besides root and whoever runs the daemon.
[[nodiscard]] Finding check_owners(const DaemonConfig& config);

[[nodiscard]] Finding check_door(const DaemonConfig& config, const Door& door);
// Of clients whose files are right: how many may knock now.
[[nodiscard]] Finding check_clients(const std::vector<Client>& clients, UnixTime now);

// The folder of record and audit: whether the daemon can write there, and how much.
[[nodiscard]] Finding check_state(const DaemonConfig& config, const Identity& identity);

}  // namespace oneknock

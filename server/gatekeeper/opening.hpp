// The gatekeeper's start behind its locks: the key files that the parent passes, and the record in the state folder.
#pragma once

#include <string>

#include "keys/daemon_config.hpp"
#include "server/gatekeeper/doorkeeper.hpp"
#include "server/transport.hpp"

namespace oneknock {

// Blocks until every key file has come. `folder` is the state folder as seen from inside, ending in '/'. An error with
// an empty message has been told by the parent already.
[[nodiscard]] Result<Doorkeeper> open_doorkeeper(const DaemonConfig& config, const std::string& folder, Channel& firewall);

}  // namespace oneknock

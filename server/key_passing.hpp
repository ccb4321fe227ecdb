// Opens the key files and passes their descriptors to the gatekeeper, unread: whoever opens them needs the privilege,
// whoever reads them must not have it.
#pragma once

#include "common/files.hpp"
#include "keys/daemon_config.hpp"
#include "server/transport.hpp"

namespace oneknock {

[[nodiscard]] Result<void> pass_keys(const DaemonConfig& config, Channel& gatekeeper);

// An inotify descriptor, non-blocking, readable when a file of the clients' folder changes.
[[nodiscard]] Result<Descriptor> watch_keys(const DaemonConfig& config);

}  // namespace oneknock

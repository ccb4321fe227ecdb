// Starts the daemon's three processes (docs/architecture.md, "Start").
#pragma once

#include <optional>

#include "common/clock.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

struct DaemonOptions {
    bool dry_run = false;          // decide and log, but leave the firewall alone
    std::optional<Seconds> trial;  // --try
};

// Runs the daemon in the foreground; the exit code.
[[nodiscard]] ExitCode run_daemon(const DaemonConfig& config, const DaemonOptions& options);

}  // namespace oneknock

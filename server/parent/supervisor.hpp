// The start-up order of the daemon's three processes (docs/architecture.md, "Start"), and its one-shot modes.
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

// --guard: sets the guard up and ends. --remove: takes our table away and ends.
[[nodiscard]] Result<void> set_guard_up(const DaemonConfig& config);
[[nodiscard]] Result<void> remove_guard(const DaemonConfig& config);

}  // namespace oneknock

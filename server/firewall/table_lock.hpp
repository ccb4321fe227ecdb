// One daemon per table and network namespace: two would take each other's rebuilding for foreign changes.
#pragma once

#include <string>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

inline constexpr const char* default_run_folder = "/run/oneknock";

// Takes the lock of the table that this configuration is about, in the network namespace of this process, and writes
// the process's number into the lock's file. Held until the descriptor and all copies of it that forked processes
// inherited are closed: children close theirs. The folder is created (0755) if it is missing; the file is its owner's
// alone (0600), so that no other user can hold the lock. ExitCode::unavailable if another daemon holds it.
[[nodiscard]] Result<Descriptor> lock_table(const FirewallConfig& config,
                                            const std::string& run_folder = default_run_folder);

}  // namespace oneknock

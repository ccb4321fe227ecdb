// The parent's loop after start-up: grant requests from the gatekeeper to the kernel, repair
// of what others change, the trial of --try, and passing on key files when they change. Sees numbers only.
#pragma once

#include <array>
#include <csignal>
#include <optional>

#include "common/clock.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/firewall/firewall.hpp"
#include "server/parent/key_passing.hpp"
#include "server/parent/key_watch.hpp"
#include "server/parent/notify.hpp"
#include "server/parent/rooms.hpp"
#include "server/privsep/channel.hpp"

namespace oneknock {

// Of those whose default is the end of the process, what others may send: it ends in order, a trial with its guard.
inline constexpr std::array signals_that_stop{SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};

struct ParentParts {
    const DaemonConfig& config;
    const RoomProcesses& rooms;
    Channel& gatekeeper;
    Channel& keys;                      // to the gatekeeper as well
    std::optional<Firewall>& firewall;  // nothing: --dry-run, requests change nothing
    int signals;                        // a signalfd
    KeyWatch& watch;
    KeyPassing& passing;
    std::optional<Seconds> trial;  // --try
    const ServiceManager& manager;
};

// Until a signal, the end of a room, or of the trial; the exit code.
[[nodiscard]] ExitCode run_parent(ParentParts loop);

}  // namespace oneknock

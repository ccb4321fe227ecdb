// What every subcommand that knocks does first: the key, the service, the targets, and the rules that tie them.
#pragma once

#include <string>
#include <vector>

#include "client/commands/report.hpp"
#include "client/door/door.hpp"
#include "client/knock/message_plan.hpp"
#include "client/knock/target_knock.hpp"
#include "client/knock/targets.hpp"

namespace oneknock {

struct Preparation {
    OpenedDoor door;
    Service service;
    std::vector<Target> targets;
    std::vector<std::string> warnings;
};

// Nothing is sent. `now` is this machine's clock.
[[nodiscard]] Result<Preparation> prepare(const KnockOptions& options, UnixTime now);

// For the targets of a preparation that was made without --dry-run.
[[nodiscard]] std::vector<TargetKnock> make_knocks(const Task& task, const std::vector<Target>& targets,
                                                   PcapWriter* record);

[[nodiscard]] Report report_of(const TargetKnock& knock, const KnockOptions& options);

// Opens, and waits until a target's port accepts: the connection. For connect and run, which print nothing of it.
[[nodiscard]] Result<Descriptor> open_and_wait(const KnockOptions& options);

}  // namespace oneknock

// --dry-run of `open` and `close`: makes the messages and shows them, and sends nothing.
#pragma once

#include <vector>

#include "client/knock/targets.hpp"
#include "client/message/make_message.hpp"
#include "client/options/options.hpp"

namespace oneknock {

// `task` is of these options. With --write the packets are in the file afterwards.
[[nodiscard]] Result<void> dry_run(const Task& task, const KnockOptions& options, const std::vector<Target>& targets,
                                   UnixTime now);

}  // namespace oneknock

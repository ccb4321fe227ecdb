// What every subcommand that knocks does first: the key, the service, the targets, and the rules that tie them.
#pragma once

#include <string>
#include <vector>

#include "client/door/key_store.hpp"
#include "client/knock/targets.hpp"
#include "client/options/options.hpp"

namespace oneknock {

struct PreparedKnock {
    OpenedDoor door;
    Service service;
    std::vector<Target> targets;
};

// Nothing is sent; warnings are printed. `now` is this machine's clock.
[[nodiscard]] Result<PreparedKnock> prepare_knock(const KnockOptions& options, UnixTime now);

}  // namespace oneknock

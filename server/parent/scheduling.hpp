// That the daemon's processes go before all other programs: a knock needs three of them in turn, each for moments, and
// on a busy machine each would wait until the turn of some other program is over.
#pragma once

#include "common/clock.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/parent/rooms.hpp"

namespace oneknock {

// How long a process that goes before others rests behind a slice of long work, such as a reload: as long as the slice
// takes, so that it never takes more than half of a processor. Nothing where it is one among them.
[[nodiscard]] Instant rest_between_slices(Scheduling scheduling);

// Before the rooms are started, which inherit it: a loop that never sleeps is killed by the kernel (RLIMIT_RTTIME).
void limit_time_without_sleep();

// The parent and the rooms, once the keys are loaded and before privileges go. Where the right is missing all stays as
// it is, and the log says so. Where whoever started us has chosen a policy, that stays.
void go_before_other_programs(const RoomProcesses& rooms);

}  // namespace oneknock

#include "server/parent/scheduling.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sched.h>
#include <sys/resource.h>

#include "common/log.hpp"

namespace oneknock {
namespace {

constexpr std::chrono::microseconds slice_time{500};
constexpr int lowest_priority = 1;  // of real time: behind the kernel's own threads
constexpr rlim_t longest_work =
    10'000'000;  // microseconds without a sleep; a whole table built anew takes less than one

// False, with errno, if it is not allowed.
bool go_before_others(pid_t pid) {
    if (sched_getscheduler(pid) != SCHED_OTHER) return true;
    const sched_param parameters{lowest_priority};
    return sched_setscheduler(pid, SCHED_FIFO, &parameters) == 0;
}

}  // namespace

Instant rest_between_slices(Scheduling scheduling) {
    return scheduling == Scheduling::realtime ? slice_time : Instant{0};
}

void limit_time_without_sleep() {
    rlimit limit{};
    if (getrlimit(RLIMIT_RTTIME, &limit) != 0) return;
    limit.rlim_max = std::min(limit.rlim_max, longest_work);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    setrlimit(RLIMIT_RTTIME, &limit);
}

void go_before_other_programs(const RoomProcesses& rooms) {
    for (const pid_t pid : {rooms.listener, rooms.gatekeeper, pid_t{0}}) {
        if (go_before_others(pid)) continue;
        log::info(std::string("cannot go before other programs (") + std::strerror(errno) +
                  "): while this machine is busy, a knock takes longer; see oneknockd.json(5), scheduling");
        return;
    }
}

}  // namespace oneknock

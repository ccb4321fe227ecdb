#include "common/clock_keeping.hpp"

#include <sys/timex.h>

namespace oneknock {

std::optional<ClockKeeping> clock_keeping() {
    timex asked{};  // modes = 0: it is only read
    const int state = adjtimex(&asked);
    if (state < 0) return std::nullopt;
    return ClockKeeping{state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0,
                        std::chrono::microseconds{asked.maxerror}};
}

}  // namespace oneknock

#include "server/ctl/host_clock.hpp"

#include <nlohmann/json.hpp>

#include <sys/timex.h>

namespace oneknock {

std::optional<bool> host_clock_is_synchronised() {
    timex asked{};
    const int state = adjtimex(&asked);
    if (state < 0) return std::nullopt;
    return state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0;
}

std::string with_host_clock(const std::string& json, std::optional<bool> synchronised) {
    auto status = nlohmann::ordered_json::parse(json);
    if (synchronised) status["clock_synchronised"] = *synchronised;
    else status["clock_synchronised"] = nullptr;
    return status.dump() + "\n";
}

}  // namespace oneknock

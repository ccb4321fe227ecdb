#include "server/ctl/host_clock.hpp"

#include <nlohmann/json.hpp>

#include "common/clock_keeping.hpp"
#include "common/json_text.hpp"

namespace oneknock {

std::optional<bool> host_clock_is_synchronised() {
    const auto keeping = clock_keeping();
    return keeping ? std::optional(keeping->synchronised) : std::nullopt;
}

std::string with_host_clock(const std::string& json, std::optional<bool> synchronised) {
    auto status = nlohmann::ordered_json::parse(json);
    if (synchronised) status["clock_synchronised"] = *synchronised;
    else status["clock_synchronised"] = nullptr;
    return json::text(status) + "\n";
}

}  // namespace oneknock

#include "server/gatekeeper/control/answers.hpp"

#include <nlohmann/json.hpp>

namespace oneknock {
namespace {

using Json = nlohmann::ordered_json;

// What is in a name that is not UTF-8 is no reason to fail.
std::string line_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string status_json(const StatusFigures& figures, const CaptureReport& report, const DecisionLog& decisions,
                        const KnockLatency& times) {
    Json refused = Json::object();
    for (std::size_t i = 0; i < reason_count; ++i) refused[std::string(reason_names[i])] = decisions.refused_count(i);
    Json parts = Json::object();
    for (std::size_t i = 0; i < KnockLatency::part_count; ++i)
        parts[std::string(KnockLatency::part_names[i])] = {{"count", times.part(i).count},
                                                           {"sum_ns", times.part(i).nanoseconds}};
    return line_of(
        {{"schema", 1},
         {"version", ONEKNOCK_VERSION},
         {"door", figures.door},
         {"uptime_s", figures.uptime.count()},
         {"clients", figures.clients},
         {"capture", {{"packets", report.packets}, {"symbols", report.symbols}, {"dropped", report.dropped}}},
         {"assembly", {{"decodes", report.decodes}, {"candidates", report.candidates}}},
         {"times", parts},
         {"accepted", decisions.accepted_count()},
         {"refused", refused},
         {"log", {{"dropped", figures.dropped_lines}, {"unlogged", decisions.unlogged_count()}}},
         {"grants", figures.grants},
         {"foreign_elements", figures.foreign_elements}});
}

std::string grants_json(const HeldGrants::Map::Map& grants, Instant now) {
    Json list = Json::array();
    for (const auto& [grant, held] : grants)
        list.push_back({{"client", grant.client},
                        {"address", grant.address.text()},
                        {"protocol", protocol_name(grant.service.protocol)},
                        {"port", grant.service.port},
                        {"remaining_s", std::chrono::ceil<Seconds>(held.end - now).count()}});
    return line_of({{"schema", 1}, {"grants", list}});
}

std::string done_json() { return line_of({{"schema", 1}, {"done", true}}); }

std::string closed_json(std::size_t count) { return line_of({{"schema", 1}, {"done", true}, {"closed", count}}); }

std::string error_json(const std::string& what) { return line_of({{"schema", 1}, {"error", what}}); }

}  // namespace oneknock

#include "server/gatekeeper/control/answers.hpp"

#include <nlohmann/json.hpp>

#include "common/json_text.hpp"

namespace oneknock {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const Json& json) { return json::text(json) + "\n"; }

constexpr std::size_t most_problems = 100;  // that an answer lists

// {"key_files_wrong": how many, "key_files": some of them}
void add_problems(Json& to, const KeyProblems& problems, Instant now) {
    Json list = Json::array();
    std::size_t on_old_keys = 0;
    for (const auto& [file, problem] : problems.all()) {
        if (problem.out_at) ++on_old_keys;
        if (list.size() == most_problems) continue;
        Json one = {{"client", problem.client}, {"problem", problem.text}, {"consequence", problem.consequence}};
        if (problem.out_at) one["out_in_s"] = std::chrono::ceil<Seconds>(*problem.out_at - now).count();
        list.push_back(std::move(one));
    }
    to["key_files_wrong"] = problems.all().size();
    to["clients_on_old_keys"] = on_old_keys;
    to["key_files"] = std::move(list);
}

// {"foreign_elements": how many, "foreign": some of them, those that have ended since left out}
void add_foreign_elements(Json& to, const ForeignElementsSeen& seen, Instant now) {
    Json list = Json::array();
    for (std::uint32_t i = 0; i < seen.elements.told; ++i) {
        const SentForeignElement& element = seen.elements.elements[i];
        const Service service = element.service;
        const auto left = std::chrono::ceil<Seconds>(seen.at + Seconds{element.remaining_s} - now).count();
        if (element.remaining_s != 0 && left <= 0) continue;
        list.push_back({{"address", element.address.text()},
                        {"protocol", protocol_name(service.protocol)},
                        {"port", service.port},
                        {"remaining_s", element.remaining_s == 0 ? Json(nullptr) : Json(left)}});
    }
    to["foreign_elements"] = seen.elements.count - (seen.elements.told - list.size());
    to["foreign"] = std::move(list);
}

// What is in force of the door and of a client, for oneknock-keygen to compare with what it wrote.
void add_door(Json& to, const Door& door) {
    to["door_generation"] = door.generations.back().number;
    Json services = Json::object();
    for (const auto& [name, service] : door.services) services[name] = service.text();
    to["services"] = std::move(services);
}

void add_client(Json& to, const Client* client) {
    to["let_in"] = client != nullptr && !client->revoked;
    if (client == nullptr) return;
    to["generation"] = client->generations.back().number;
    to["allow"] = client->allow;
    to["source"] = client->source.text();
    to["max_duration_s"] = client->max_duration.count();
    to["expires"] = client->expires ? time_text(*client->expires) : "never";
}

}  // namespace

std::string status_json(const StatusFigures& figures, const CaptureReport& report, const DecisionLog& decisions,
                        const KnockLatency& times, const KeyProblems& problems, Instant now) {
    Json refused = Json::object();
    for (std::size_t i = 0; i < reason_count; ++i) refused[std::string(reason_names[i])] = decisions.refused_count(i);
    Json parts = Json::object();
    for (std::size_t i = 0; i < KnockLatency::part_count; ++i)
        parts[std::string(KnockLatency::part_names[i])] = {{"count", times.part(i).count},
                                                           {"sum_ns", times.part(i).nanoseconds}};
    Json status = {{"schema", 1},
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
                   {"grants", figures.grants}};
    add_foreign_elements(status, figures.foreign, now);
    add_problems(status, problems, now);
    return line_of(status);
}

std::string reloaded_json(const Keyring& keyring, const std::string& client, const KeyProblems& problems, Instant now) {
    Json answer = {{"schema", 1}, {"done", true}};
    add_door(answer, keyring.door);
    if (!client.empty()) {
        add_client(answer, find_client(keyring, client));
        const auto wrong = problems.all().find(client + ".json");
        answer["problem"] = wrong != problems.all().end() ? wrong->second.text : "";
    }
    add_problems(answer, problems, now);
    return line_of(answer);
}

std::string grants_json(const HeldGrants::Ends& grants, Instant now) {
    Json list = Json::array();
    for (const auto& [grant, end] : grants)
        list.push_back({{"client", grant.client},
                        {"address", grant.address.text()},
                        {"protocol", protocol_name(grant.service.protocol)},
                        {"port", grant.service.port},
                        {"remaining_s", std::chrono::ceil<Seconds>(end - now).count()}});
    return line_of({{"schema", 1}, {"grants", list}});
}

std::string done_json() { return line_of({{"schema", 1}, {"done", true}}); }

std::string closed_json(std::size_t count) { return line_of({{"schema", 1}, {"done", true}, {"closed", count}}); }

std::string error_json(const std::string& what) { return line_of({{"schema", 1}, {"error", what}}); }

}  // namespace oneknock

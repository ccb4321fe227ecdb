#include "client/options/completion_values.hpp"

#include "client/door/door_folder.hpp"
#include "client/options/door_defaults.hpp"
#include "keys/key_file.hpp"

namespace oneknock {
namespace {

std::vector<std::string> doors() {
    const auto folder = config_folder();
    if (!folder) return {};
    std::vector<std::string> names = names_in(*folder);
    std::erase_if(names, [](const std::string& name) { return !is_door_name(name); });
    return names;
}

std::vector<std::string> services_of(const std::string& door) {
    const auto key = find_door(door).and_then(read_stored_key);
    std::vector<std::string> names;
    if (key)
        for (const auto& [name, service] : clear_part(*key).services) names.push_back(name);
    return names;
}

std::vector<std::string> assignments() {
    std::vector<std::string> names = names_of_defaults();
    for (std::string& name : names) name += "=";
    return names;
}

}  // namespace

std::vector<std::string> client_values(const std::string& place, const TypedWords& before) {
    if (place == "DOOR") return doors();
    if (place == "SERVICE" && !before.places.empty()) return services_of(before.places.front());
    if (place == "NAME=VALUE") return assignments();
    return {};
}

}  // namespace oneknock

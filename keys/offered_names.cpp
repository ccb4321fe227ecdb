#include "keys/offered_names.hpp"

#include <filesystem>

#include "keys/keyring.hpp"
#include "keys/names.hpp"

namespace oneknock {

std::vector<std::string> offered_clients(const std::string& clients_folder) {
    std::vector<std::string> names;
    if (const auto paths = client_paths(clients_folder))
        for (const std::string& path : *paths)
            if (auto name = std::filesystem::path(path).stem().string(); is_valid_name(name))
                names.push_back(std::move(name));
    return names;
}

std::vector<std::string> offered_services(const std::string& door_path) {
    std::vector<std::string> names;
    if (const auto door = load_door(door_path))
        for (const auto& [name, service] : door->services) names.push_back(name);
    return names;
}

}  // namespace oneknock

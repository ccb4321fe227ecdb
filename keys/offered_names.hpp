// Names in a door's folder, for shells to offer. What cannot be read is left out.
#pragma once

#include <string>
#include <vector>

namespace oneknock {

[[nodiscard]] std::vector<std::string> offered_clients(const std::string& clients_folder);
// Reads the door's file: initialise_crypto() must have returned.
[[nodiscard]] std::vector<std::string> offered_services(const std::string& door_path);

}  // namespace oneknock

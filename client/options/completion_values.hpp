// What a shell is to offer for the places of oneknock's command line.
#pragma once

#include "common/completion.hpp"

namespace oneknock {

// Imported doors, services of a door, and the options of `set`. Asks for no passphrase; what cannot be read is left
// out.
[[nodiscard]] std::vector<std::string> client_values(const std::string& place, const TypedWords& before);

}  // namespace oneknock

// For a process of root's that reads what a room of the daemon has written.
#pragma once

#include <string>

#include "common/result.hpp"

namespace oneknock {

// Gives up root for the folder's owner, every capability, and everything outside of the folder, which becomes "/"; all
// for good.
[[nodiscard]] Result<void> become_owner_inside(const std::string& folder);

}  // namespace oneknock

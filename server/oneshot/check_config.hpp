// oneknockd --check-config: what stands between this host and a door that opens, looked at piece by piece.
#pragma once

#include <string>

#include "common/result.hpp"

namespace oneknock {

// Everything that --check-config does. What the daemon would not start with, or would leave a client out for, is an
// error, the first of them; whatever else is found is told and no error. Nothing is changed, and no other process
// started.
[[nodiscard]] Result<void> check_config(const std::string& path, bool json);

}  // namespace oneknock

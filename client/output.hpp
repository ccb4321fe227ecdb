// Standard output, whole or as an error: a full disk or a closed pipe must not pass for success.
#pragma once

#include <string_view>

#include "common/result.hpp"

namespace oneknock {

[[nodiscard]] Result<void> print_line(std::string_view line);  // with a line feed

}  // namespace oneknock

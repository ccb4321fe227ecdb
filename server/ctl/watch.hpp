// What goes on until it is interrupted.
#pragma once

#include <functional>
#include <string>

#include "common/result.hpp"

namespace oneknock {

// An error once nobody is left to read standard output.
[[nodiscard]] Result<void> wait_a_second();

// Prints what `show` gives each second: on a terminal in place, on anything else one after the other.
[[nodiscard]] Result<void> watch(const std::function<Result<std::string>()>& show);

}  // namespace oneknock

// How often malloc, and so operator new, was called by this process: from any library, in any thread.
#pragma once

#include <cstdint>

namespace oneknock {

[[nodiscard]] std::uint64_t allocations();

}  // namespace oneknock

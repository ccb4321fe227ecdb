// What tells this run of the kernel from others.
#pragma once

#include "common/bytes.hpp"

namespace oneknock {

using BootId = Bytes<16>;

// Needs /proc. Where that is not to be had it is a new one at each call, which belongs to no run.
[[nodiscard]] BootId read_boot_id();

}  // namespace oneknock

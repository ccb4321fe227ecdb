// oneknock doctor: what is between this machine and an open port, looked at step by step.
#pragma once

#include "client/options/options.hpp"
#include "common/result.hpp"

namespace oneknock {

// The exit status: of the first check that failed, 0 if none did.
[[nodiscard]] Result<int> doctor_command(const DoctorOptions& options);

}  // namespace oneknock

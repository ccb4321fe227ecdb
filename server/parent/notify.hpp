// Telling a service manager that the daemon is ready (sd_notify(3), Type=notify).
#pragma once

#include "common/fd.hpp"

namespace oneknock {

// Connected to the service manager, if one waits to be told; else empty. Before the parent is locked in.
[[nodiscard]] Descriptor connect_to_service_manager();

void notify_ready(const Descriptor& service_manager);

}  // namespace oneknock

// Telling a service manager that the daemon is ready (sd_notify(3), Type=notify).
#pragma once

#include "common/fd.hpp"

namespace oneknock {

// Connected to the service manager, if one waits to be told; else empty. Before the parent is locked in. One that
// cannot be reached is warned of: it may end a daemon of which it hears nothing.
[[nodiscard]] Descriptor connect_to_service_manager();

// Waits a little where there is no room.
void notify_ready(const Descriptor& service_manager);

}  // namespace oneknock

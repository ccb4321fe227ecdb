// sd_notify(3) in the few lines it takes.
#pragma once

namespace oneknock {

// Tells the service manager that the daemon is ready, if one asked to be told ($NOTIFY_SOCKET).
void notify_ready();

}  // namespace oneknock

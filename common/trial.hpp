// The daemon on trial (--try) and whoever has started it: the latter listens on NOTIFY_SOCKET, as a service manager
// does.
#pragma once

namespace oneknock {

// Told once `oneknockctl confirm` has come. What begins with X_ is not for systemd (sd_notify(3)).
inline constexpr const char* trial_confirmed = "X_ONEKNOCK_TRIAL=confirmed";

}  // namespace oneknock

// What a service manager is told (sd_notify(3), Type=notify): that the daemon is ready, what it does, and that it
// lives.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/protocol/address.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

class ServiceManager {
public:
    // Connected to the one that waits to be told, if there is one; before the parent is locked in. One that cannot be
    // reached is warned of: it may end a daemon of which it hears nothing.
    [[nodiscard]] static ServiceManager connect();

    // Waits a little where there is no room; all others are dropped there.
    void tell_ready(const std::string& status) const;
    void tell_status(const std::string& status) const;
    void tell_stopping() const;
    void tell_alive() const;
    void tell_confirmed() const;  // the trial: common/trial.hpp

    // How often it wants to be told that the daemon lives, thrice over; nothing: it does not ask.
    [[nodiscard]] std::optional<Instant> life_interval() const { return life_interval_; }

private:
    void tell(const std::string& state) const;

    Descriptor fd_;
    std::optional<Instant> life_interval_;
};

// A line for `systemctl status`.
[[nodiscard]] std::string status_text(FirewallMode mode, const std::vector<Service>& services, bool on_trial);

}  // namespace oneknock

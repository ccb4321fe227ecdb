// What another list of services means for the ports of this host, told loudly: what is gone is closed no more.
#pragma once

#include <vector>

#include "common/protocol/address.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock {

class ServiceChange {
public:
    ServiceChange(const std::vector<Service>& before, const std::vector<Service>& after);

    // `done`: the kernel knows of it. Else it is tried again.
    void tell(FirewallMode mode, bool done) const;

private:
    std::vector<Service> added_, removed_;
};

}  // namespace oneknock

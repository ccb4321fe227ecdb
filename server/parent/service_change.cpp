#include "server/parent/service_change.hpp"

#include <algorithm>

#include "common/log.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

std::vector<Service> without(std::vector<Service> services, const std::vector<Service>& others) {
    std::erase_if(services, [&](const Service& one) { return std::ranges::find(others, one) != others.end(); });
    return services;
}

}  // namespace

ServiceChange::ServiceChange(const std::vector<Service>& before, const std::vector<Service>& after)
    : added_(without(after, before)), removed_(without(before, after)) {}

void ServiceChange::tell(FirewallMode mode, bool done) const {
    const bool guards = mode == FirewallMode::guard;
    if (!done) log::error("the door's new services are not in the firewall yet; trying again");
    if (!added_.empty())
        log::info((guards ? "closed from now on: " : "may be opened from now on, if rules of yours close it: ") +
                  join(added_, &Service::text));
    if (!removed_.empty())
        log::warning((guards ? "NOT CLOSED ANY MORE: " : "opened by no knock any more, only by rules of yours: ") +
                     join(removed_, &Service::text) + " is no service of the door now");
}

}  // namespace oneknock

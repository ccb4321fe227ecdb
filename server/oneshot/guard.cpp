#include "server/oneshot/guard.hpp"

#include "common/clock.hpp"
#include "keys/keyring.hpp"
#include "server/firewall/firewall.hpp"
#include "server/firewall/table_lock.hpp"

namespace oneknock {
namespace {

Result<std::vector<Service>> services_of_door(const DaemonConfig& config) {
    const auto door = load_door(config.door);
    if (!door) return tl::unexpected(door.error());
    std::vector<Service> services;
    for (const auto& [name, service] : door->services) services.push_back(service);
    return services;
}

}  // namespace

Result<void> set_guard_up(const DaemonConfig& config) {
    auto services = services_of_door(config);
    if (!services) return tl::unexpected(services.error());
    const auto lock = lock_table(config.firewall);
    if (!lock) return tl::unexpected(lock.error());
    auto firewall = Firewall::open(config.firewall, std::move(*services));
    if (!firewall) return tl::unexpected(firewall.error());
    const auto installed = firewall->install({}, read_clocks().steady);
    if (!installed) return tl::unexpected(installed.error());
    return {};
}

Result<void> remove_guard(const DaemonConfig& config) {
    const auto lock = lock_table(config.firewall);
    if (!lock) return tl::unexpected(lock.error());
    auto services = config.firewall.mode == FirewallMode::set ? services_of_door(config) : std::vector<Service>{};
    if (!services) return tl::unexpected(services.error());
    auto firewall = Firewall::open(config.firewall, std::move(*services));
    if (!firewall) return tl::unexpected(firewall.error());
    return firewall->remove();
}

}  // namespace oneknock

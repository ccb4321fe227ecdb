#include "server/oneshot/guard.hpp"

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keyring.hpp"
#include "server/firewall/firewall.hpp"
#include "server/firewall/table/ruleset.hpp"
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

void say_what_is_up(const DaemonConfig& config, const Firewall& firewall, const Firewall::Installed& installed) {
    const std::string services = join(firewall.services(), [](const Service& service) { return service.text(); });
    const std::string ended =
        installed.removed > 0 ? "; " + std::to_string(installed.removed) + " elements of an earlier run are gone" : "";
    if (config.firewall.mode == FirewallMode::guard)
        log::info("the guard is up: " + services + " closed to everyone but trusted networks, until a knock" + ended);
    else
        log::info("ready for grants of " + services + ", which are closed as far as your own rules close them" + ended);
}

void say_what_was_removed(const DaemonConfig& config, bool was_there) {
    const std::string table = "the nftables table " + grant_sets(config.firewall).table.text();
    if (config.firewall.mode == FirewallMode::set)
        log::info(was_there ? "removed all grants from the sets of " + table
                            : "there was no grant in the sets of " + table);
    else
        log::info(was_there ? "removed " + table + ", and with it all grants; oneknock closes no port now"
                            : "there was nothing to remove: " + table + " does not exist");
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
    say_what_is_up(config, *firewall, *installed);
    return {};
}

Result<void> remove_guard(const DaemonConfig& config) {
    const auto lock = lock_table(config.firewall);
    if (!lock) return tl::unexpected(lock.error());
    auto services = config.firewall.mode == FirewallMode::set ? services_of_door(config) : std::vector<Service>{};
    if (!services) return tl::unexpected(services.error());
    auto firewall = Firewall::open(config.firewall, std::move(*services));
    if (!firewall) return tl::unexpected(firewall.error());
    return firewall->remove().map([&](bool was_there) { say_what_was_removed(config, was_there); });
}

}  // namespace oneknock

#include "server/parent/lockout_warning.hpp"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "common/log.hpp"

namespace oneknock {

void warn_of_lock_out(const DaemonConfig& config, const std::vector<Service>& services) {
    const char* connection = std::getenv("SSH_CONNECTION");
    if (connection == nullptr || config.firewall.mode != FirewallMode::guard) return;
    std::string client, client_port, server, port;
    std::istringstream(connection) >> client >> client_port >> server >> port;
    const auto service = Service::parse("tcp/" + port);
    const auto address = Address::parse(client);
    if (!service || !address || std::ranges::find(services, *service) == services.end()) return;
    const bool trusted =
        std::ranges::any_of(config.firewall.trusted, [&](const Network& n) { return n.contains(*address); });
    if (!trusted)
        log::warning("this ssh session uses " + service->text() +
                     ", which is closed from now on: the session lives on, but a new " +
                     "one needs a knock. Test one before you log out (oneknock open), or start with --try 60");
}

}  // namespace oneknock

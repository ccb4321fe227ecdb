#include "server/oneshot/check_config.hpp"

#include <cstdio>

#include <net/if.h>

#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keyring.hpp"

namespace oneknock {

Result<void> check_config(const DaemonConfig& config) {
    const auto keyring = load_keyring(config.door, config.clients);
    if (!keyring) return tl::unexpected(keyring.error());
    for (const std::string& interface : config.interfaces)
        if (interface != "any" && if_nametoindex(interface.c_str()) == 0)
            log::warning(config.path + ": interface " + interface + " is not there now; the daemon would wait for it");
    const std::string services =
        join(keyring->door.services, [](const auto& named) { return named.first + " (" + named.second.text() + ")"; });
    std::printf("%s is right: door %s with %s; %zu clients; tolerance %s; grants of %s, at most %s\n",
                config.path.c_str(), keyring->door.name.c_str(), services.c_str(), keyring->clients.size(),
                duration_text(config.tolerance).c_str(), duration_text(config.grant_default).c_str(),
                duration_text(config.grant_maximum).c_str());
    return {};
}

}  // namespace oneknock

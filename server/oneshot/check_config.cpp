#include "server/oneshot/check_config.hpp"

#include <net/if.h>

#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keyring.hpp"
#include "server/parent/runtime_files.hpp"
#include "server/privsep/identity.hpp"

namespace oneknock {

Result<void> check_config(const DaemonConfig& config) {
    if (const auto identity = find_identity(config.user); !identity) return tl::unexpected(identity.error());
    if (const auto apart = check_state_folder(config); !apart) return apart;
    const auto found =
        load_door(config.door).and_then([&](Door&& d) { return load_what_is_right(std::move(d), config.clients); });
    if (!found) return tl::unexpected(found.error());
    if (auto right = found->verdict(); !right) return right;
    const Keyring& keyring = found->keyring;
    for (const std::string& interface : config.interfaces)
        if (interface != "any" && if_nametoindex(interface.c_str()) == 0)
            log::warning(config.path + ": interface " + interface +
                         " does not exist now; the daemon would wait for it");
    const std::string services =
        join(keyring.door.services, [](const auto& named) { return named.first + " (" + named.second.text() + ")"; });
    return print_line(config.path + ": OK: door " + keyring.door.name + ", services " + services + ", " +
                      std::to_string(keyring.clients.size()) + " clients, tolerance " +
                      duration_text(config.tolerance) + ", grants of " + duration_text(config.grant_default) +
                      ", at most " + duration_text(config.grant_maximum));
}

}  // namespace oneknock

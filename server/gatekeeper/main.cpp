// oneknockd-gatekeeper UID:GID [journal]: the room that holds the keys and decides. Started by oneknockd alone.
#include <string_view>

#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"
#include "server/gatekeeper/loop.hpp"
#include "server/privsep/inherited_fds.hpp"

int main(int argc, char** argv) {
    using namespace oneknock;
    prepare_process();
    log::never_wait();
    const bool has_journal = argc == 3 && std::string_view(argv[2]) == "journal";
    const auto identity = argc == 2 || has_journal ? Identity::parse(argv[1]) : std::nullopt;
    if (!identity) {
        log::error("oneknockd-gatekeeper is started by oneknockd, not by hand");
        return static_cast<int>(ExitCode::usage);
    }
    initialise_crypto();
    const auto end = [](GatekeeperEnd number) { return Descriptor(static_cast<int>(number)); };
    if (has_journal) log::write_fields_to(end(GatekeeperEnd::journal));
    try {
        return static_cast<int>(
            run_gatekeeper({Channel(end(GatekeeperEnd::listener)), Channel(end(GatekeeperEnd::parent)),
                            Channel(end(GatekeeperEnd::keys)), end(GatekeeperEnd::control), end(GatekeeperEnd::state)},
                           *identity));
    } catch (const LockedMemoryError& error) {
        log::error(error.what());
        return static_cast<int>(ExitCode::permission);
    }
}

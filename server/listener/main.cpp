// oneknockd-listener UID:GID INTERFACE...: the room that reads packets. Started by oneknockd alone.
#include <cstdlib>
#include <string>
#include <vector>

#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"
#include "server/listener/loop.hpp"
#include "server/privsep/inherited_fds.hpp"

int main(int argc, char** argv) {
    using namespace oneknock;
    prepare_process();
    log::never_wait();
    const auto identity = argc > 2 ? Identity::parse(argv[1]) : std::nullopt;
    if (!identity) {
        log::error("oneknockd-listener is started by oneknockd, not by hand");
        return static_cast<int>(ExitCode::usage);
    }
    initialise_crypto();
    const auto end = [](ListenerEnd number) { return Descriptor(static_cast<int>(number)); };
    return static_cast<int>(run_listener(std::vector<std::string>(argv + 2, argv + argc), *identity,
                                         Channel(end(ListenerEnd::gatekeeper)), end(ListenerEnd::ready)));
}

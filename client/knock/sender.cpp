#include "client/knock/sender.hpp"

#include <cerrno>
#include <cstring>

#include "common/text.hpp"

namespace oneknock {

Result<std::unique_ptr<Sender>> open_sender(Via via, const Endpoint& local, const Endpoint& destination) {
    return via == Via::udp ? open_udp_sender(local, destination) : open_tcp_sender(local, destination);
}

Result<void> check_pass(const PassOutcome& outcome, std::size_t needed, const Endpoint& destination) {
    if (outcome.sent >= needed) return {};
    const std::string place = destination.address.text();
    const std::string count = "only " + counted(outcome.sent, "packet") + " to " + place + " could be sent, but " +
                              std::to_string(needed) + " are needed: ";
    // Both are what a dropping rule in the host's own output chain gives.
    if (outcome.error == EPERM || outcome.error == EACCES)
        return fail(ExitCode::permission, count + "a local firewall forbids it; allow outgoing packets to " + place +
                                              " on all ports, or try the other of --via udp and --via tcp");
    return fail(ExitCode::unavailable, count + std::strerror(outcome.error) +
                                           "; check this machine's network and the "
                                           "door's address");
}

}  // namespace oneknock

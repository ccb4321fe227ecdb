#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client/commands/open_and_wait.hpp"
#include "client/commands/relay.hpp"

namespace oneknock {

// The connection whose acceptance ended the wait is the one that is used: it costs no further round trip, and it is
// the one connection of a door that grants only one.
Result<void> connect_command(const ConnectOptions& options) {
    const auto connection = open_and_wait(options.knock);
    if (!connection) return tl::unexpected(connection.error());
    const int fd = connection->get();
    if (options.pass_descriptor) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);  // the receiver expects an ordinary one
        return pass_descriptor(fd, STDOUT_FILENO);
    }
    // What comes in is a program's own packets already: waiting to merge them would only delay keystrokes.
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return relay(STDIN_FILENO, STDOUT_FILENO, fd);
}

}  // namespace oneknock

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client/commands/open_and_wait.hpp"
#include "client/commands/relay.hpp"
#include "client/knock/port_watch.hpp"

namespace oneknock {
namespace {

// The key is out of memory before the first byte of the user's goes over the connection.
Result<Descriptor> open_connection(const KnockOptions& options) {
    const auto prepared = prepare_knock(options, read_clocks().wall, Patience::will_wait);
    if (!prepared) return tl::unexpected(prepared.error());
    return open_and_wait(*prepared, options);
}

}  // namespace

// The connection whose acceptance ended the wait is the one that is used: it costs no further round trip, and it is
// the one connection of a door that grants only one.
Result<void> connect_command(const ConnectOptions& options) {
    const auto connection = open_connection(options.knock);
    if (!connection) return tl::unexpected(connection.error());
    const int fd = connection->get();
    use_connection(fd);
    if (options.pass_descriptor) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);  // the receiver expects an ordinary one
        return pass_descriptor(fd, STDOUT_FILENO);
    }
    // What comes in is a program's own packets already: waiting to merge them would only delay keystrokes.
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);  // a host that has vanished is noticed, if late
    return relay(STDIN_FILENO, STDOUT_FILENO, fd);
}

}  // namespace oneknock

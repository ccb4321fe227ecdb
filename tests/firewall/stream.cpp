#include "tests/firewall/stream.hpp"

#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace oneknock::test {
namespace {

// Until the other end of `stop` is closed.
bool all_open(const TestNetwork& network, std::uint16_t port, const Descriptor& stop) {
    bool all = true;
    pollfd stopped{stop.get(), POLLIN, 0};
    network.in_client([&] {
        while (poll(&stopped, 1, 0) == 0) all &= connect_tcp(server4, port, client4).port == Port::open;
    });
    return all;
}

}  // namespace

ConnectionStream::ConnectionStream(const TestNetwork& network, const Descriptor& listener, std::uint16_t port)
    : listener_(listener) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const Descriptor stopped(ends[0]);
    stop_.reset(ends[1]);
    process_ = fork();
    if (process_ != 0) return;
    stop_.reset();
    _exit(all_open(network, port, stopped) ? 0 : 1);
}

ConnectionStream::~ConnectionStream() {
    if (process_ > 0) (void)finish();
}

void ConnectionStream::accept_all() {
    for (;; ++accepted_) {
        const Descriptor done(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!done) return;
    }
}

bool ConnectionStream::finish() {
    stop_.reset();
    int status = -1;
    const bool ended = waitpid(process_, &status, 0) == process_;
    process_ = -1;
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace oneknock::test

#include <cerrno>
#include <utility>
#include <vector>

#include <netinet/in.h>

#include "client/knock/sender.hpp"

namespace oneknock {
namespace {

bool set_option(int fd, int level, int name, const void* value, socklen_t size) {
    return setsockopt(fd, level, name, value, size) == 0;
}

// A socket that shares its local port with the other ones of the message, and that leaves no TIME_WAIT behind should
// a port be open by chance: the next pass comes from the same port.
Descriptor open_sharing(const Endpoint& local, std::uint16_t port) {
    Descriptor fd = open_socket(local.address.family, SOCK_STREAM);
    const int yes = 1;
    const linger reset{1, 0};
    const SocketAddress from(local, port);
    if (!fd || !set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
        !set_option(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset) ||
        bind(fd.get(), from.get(), from.length) != 0)
        return {};
    return fd;
}

// Unprivileged: each SYN is the beginning of a connection that is given up.
class TcpSender : public Sender {
public:
    TcpSender(Descriptor anchor, const Endpoint& local, const Endpoint& destination)
        : anchor_(std::move(anchor)),
          local_(local),
          destination_(destination),
          source_port_(local_port(anchor_.get())) {}

    void send(std::span<const std::uint16_t> ports) override {
        for (const std::uint16_t port : ports) begin(port);
    }

    PassOutcome end_pass() override {
        attempts_.clear();
        return std::exchange(outcome_, {});
    }
    [[nodiscard]] std::uint16_t source_port() const override { return source_port_; }

private:
    void begin(std::uint16_t port) {
        Descriptor fd = open_sharing(local_, source_port_);
        const SocketAddress to(destination_, port);
        // Refused at once (a neighbour, loopback): the SYN was on its way all the same.
        if (fd && (connect(fd.get(), to.get(), to.length) == 0 || errno == EINPROGRESS || errno == ECONNREFUSED))
            ++outcome_.sent;
        else if (outcome_.error == 0) outcome_.error = errno;
        attempts_.push_back(std::move(fd));
    }

    Descriptor anchor_;  // keeps the port ours between the passes; never connected
    Endpoint local_;
    Endpoint destination_;
    std::uint16_t source_port_;
    std::vector<Descriptor> attempts_;  // of this pass, kept until all are sent
    PassOutcome outcome_;
};

}  // namespace

Result<std::unique_ptr<Sender>> open_tcp_sender(const Endpoint& local, const Endpoint& destination) {
    Descriptor anchor = open_sharing(local, 0);
    if (!anchor)
        return tl::unexpected(system_error("bind a TCP socket to", local.address.text(), ExitCode::unavailable));
    return std::make_unique<TcpSender>(std::move(anchor), local, destination);
}

}  // namespace oneknock

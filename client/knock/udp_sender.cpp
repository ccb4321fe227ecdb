#include <cerrno>
#include <utility>
#include <vector>

#include <poll.h>

#include "client/knock/sender.hpp"

namespace oneknock {
namespace {

// How long a full send buffer may hold up a pass.
constexpr int longest_stall_ms = 100;

class UdpSender : public Sender {
public:
    UdpSender(Descriptor fd, const Endpoint& destination)
        : fd_(std::move(fd)), destination_(destination), source_port_(local_port(fd_.get())) {}

    void send(std::span<const std::uint16_t> ports) override {
        std::vector<SocketAddress> to;  // as many as there are: mostly one, and 64 are 8 KiB
        to.reserve(ports.size());
        for (const std::uint16_t port : ports) to.emplace_back(destination_, port);
        std::vector<mmsghdr> headers(ports.size());
        for (std::size_t i = 0; i < ports.size(); ++i) {
            headers[i].msg_hdr.msg_name = to[i].get();
            headers[i].msg_hdr.msg_namelen = to[i].length;
        }
        send_headers(headers);
    }
    PassOutcome end_pass() override { return std::exchange(outcome_, {}); }
    [[nodiscard]] std::uint16_t source_port() const override { return source_port_; }

private:
    // The kernel stops at the first datagram it cannot send; the others may still go.
    void send_headers(std::span<mmsghdr> headers) {
        bool stalled = false;
        while (!headers.empty()) {
            const int sent = sendmmsg(fd_.get(), headers.data(), static_cast<unsigned>(headers.size()), 0);
            if (sent > 0) {
                outcome_.sent += static_cast<std::size_t>(sent);
                headers = headers.subspan(static_cast<std::size_t>(sent));
                continue;
            }
            if (errno == EINTR) continue;
            if (errno == EAGAIN && !std::exchange(stalled, true)) {
                pollfd writable{fd_.get(), POLLOUT, 0};
                poll(&writable, 1, longest_stall_ms);
                continue;
            }
            if (outcome_.error == 0) outcome_.error = errno;
            headers = headers.subspan(1);
        }
    }

    Descriptor fd_;
    Endpoint destination_;
    std::uint16_t source_port_;
    PassOutcome outcome_;
};

}  // namespace

Result<std::unique_ptr<Sender>> open_udp_sender(const Endpoint& local, const Endpoint& destination) {
    Descriptor fd = open_socket(local.address.family, SOCK_DGRAM);
    const SocketAddress from(local, 0);
    if (!fd || bind(fd.get(), from.get(), from.length) != 0)
        return tl::unexpected(system_error("bind a UDP socket to", local.address.text(), ExitCode::unavailable));
    return std::make_unique<UdpSender>(std::move(fd), destination);
}

}  // namespace oneknock

// The carriers of symbols: UDP datagrams and TCP connection attempts, all of a message from one source port.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "client/knock/endpoint.hpp"
#include "client/message/knock_settings.hpp"
#include "common/result.hpp"

namespace oneknock {

// How a pass went. Lost packets do not matter while enough are sent, so the error is that of the first lost one.
struct PassOutcome {
    std::size_t sent = 0;
    int error = 0;  // errno
};

class Sender {
public:
    virtual ~Sender() = default;

    // One packet to each port, in this order, as fast as the kernel takes them. Failures are counted, see end_pass.
    virtual void send(std::span<const std::uint16_t> ports) = 0;
    // Gives back what the pass needed, and tells how it went since the last call.
    virtual PassOutcome end_pass() = 0;
    [[nodiscard]] virtual std::uint16_t source_port() const = 0;
};

// Binds `local` and a source port the kernel chooses, which no other socket of this process has.
[[nodiscard]] Result<std::unique_ptr<Sender>> open_sender(Via via, const Endpoint& local, const Endpoint& destination);
[[nodiscard]] Result<std::unique_ptr<Sender>> open_udp_sender(const Endpoint& local, const Endpoint& destination);
[[nodiscard]] Result<std::unique_ptr<Sender>> open_tcp_sender(const Endpoint& local, const Endpoint& destination);

// A pass that got fewer than `needed` packets out is an error, with the reason and what to do.
[[nodiscard]] Result<void> check_pass(const PassOutcome& outcome, std::size_t needed, const Endpoint& destination);

}  // namespace oneknock

// Watching a TCP port from outside: connection attempts in quick succession until one is accepted, or refused.
#pragma once

#include <vector>

#include <poll.h>

#include "client/knock/endpoint.hpp"
#include "client/message/pass_schedule.hpp"

namespace oneknock {

// When to try, pure. At once after a pass, then every millisecond, then at intervals of half the elapsed time, at
// most 100 ms, which bounds the delay in noticing the answer: a SYN that was dropped is gone, and waiting for the
// kernel to repeat it would cost a second.
class AttemptSchedule {
public:
    static constexpr Instant shortest_step = std::chrono::milliseconds{1};
    static constexpr Instant longest_step = std::chrono::milliseconds{100};

    void restart(Instant now) { start_ = due_ = now; }  // a pass has just ended
    [[nodiscard]] Instant due() const { return due_; }  // `never` before the first pass
    void tried(Instant now);

private:
    Instant start_{};
    Instant due_ = never;
};

// A connection that PortWatch gave is to be used: only now is it completed, so that the service is told of it. (Until
// then the last packet of the handshake is held back, for 200 ms at most; an attempt that is closed before ends with a
// reset, and no service, and nobody who counts visits to it, has seen a thing.)
void use_connection(int fd);

class PortWatch {
public:
    // An attempt without an answer for this long is given up. Time for a slow round trip, and for the kernel to repeat
    // a lost SYN after a second.
    static constexpr Instant patience = std::chrono::seconds{2};
    // At once under way: what the schedule yields within `patience`, with passes following each other closely.
    static constexpr std::size_t most_attempts = 96;

    enum class Answer : std::uint8_t {
        none,
        accepted,
        refused,  // a reset, an ICMP error, or silence for `patience`
    };

    // `service` is the port; attempts come from `local`, as the connections to follow will.
    PortWatch(const Endpoint& local, const Endpoint& destination, std::uint16_t service)
        : local_(local), destination_(destination), port_(service) {}

    // From now on from this address; attempts under way from the old one are given up.
    void move_to(const Endpoint& local);
    void restart(Instant now) { schedule_.restart(now); }
    [[nodiscard]] Instant due() const { return schedule_.due(); }
    // Begins an attempt if one is due.
    void attempt(Instant now);

    // What poll() is to wait for.
    void collect(std::vector<pollfd>& polls) const;
    // Looks at the attempts under way. Accepted outranks refused.
    [[nodiscard]] Answer look(Instant now);
    // The first accepted connection since the last call. Closed without use_connection(), it was a mere probe.
    [[nodiscard]] Descriptor take_connection();

private:
    struct Attempt {
        Descriptor fd;
        Instant started;
    };

    Endpoint local_;
    Endpoint destination_;
    std::uint16_t port_;
    AttemptSchedule schedule_;
    std::vector<Attempt> attempts_;  // oldest first
    Descriptor connection_;
};

}  // namespace oneknock

// Watching a TCP port from outside: once before the knock, and after it by connection attempts in quick succession,
// until one is accepted, or refused.
#pragma once

#include <algorithm>
#include <vector>

#include <poll.h>

#include "client/knock/endpoint.hpp"
#include "client/message/pass_schedule.hpp"

namespace oneknock {

// When to try, pure. At once after a pass, then every millisecond, then at intervals of half the elapsed time, at
// most 250 ms, which bounds the delay in noticing the answer: a SYN that was dropped is gone, and waiting for the
// kernel to repeat it would cost a second. After a slow pass it begins slowly, for the same reason: attempts are new
// flows as well.
class AttemptSchedule {
public:
    static constexpr Instant shortest_step = std::chrono::milliseconds{1};
    static constexpr Instant longest_step = std::chrono::milliseconds{250};

    // A pass has just ended, which had this pause between packets.
    void restart(Instant now, Instant pace) {
        start_ = due_ = now;
        step_ = std::clamp(pace, shortest_step, longest_step);
    }
    [[nodiscard]] Instant due() const { return due_; }  // `never` before the first pass
    void tried(Instant now);

private:
    Instant start_{};
    Instant step_ = shortest_step;
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
    // What a closed port answers with.
    enum class Sign : std::uint8_t {
        silence,
        reset,        // from the server, or whoever answers for it
        unreachable,  // this machine or a router says so
    };

    // `service` is the port; attempts come from `local`, as the connections to follow will.
    PortWatch(const Endpoint& local, const Endpoint& destination, std::uint16_t service)
        : local_(local), destination_(destination), port_(service) {}

    // From now on from this address; attempts under way from the old one are given up, and what was before is not
    // known.
    void move_to(const Endpoint& local);
    void restart(Instant now, Instant pace) { schedule_.restart(now, pace); }
    [[nodiscard]] Instant due() const { return schedule_.due(); }
    // Begins an attempt if one is due.
    void attempt(Instant now);
    // Before the knock: begins an attempt that tells whether the port is open without it. Its packet leaves before
    // the knock's, so whoever answers it has not been knocked at; nothing waits for it.
    void attempt_before(Instant now);

    // What poll() is to wait for.
    void collect(std::vector<pollfd>& polls) const;
    // Looks at the attempts under way. Accepted outranks refused.
    [[nodiscard]] Answer look(Instant now);
    // Whether the attempt from before the knock was accepted.
    [[nodiscard]] bool was_open_before() const { return was_open_before_; }
    [[nodiscard]] Sign sign() const { return sign_; }  // of the last refusal
    [[nodiscard]] bool has_connection() const { return static_cast<bool>(connection_); }
    // The first accepted connection since the last call. Closed without use_connection(), it was a mere probe.
    [[nodiscard]] Descriptor take_connection();
    void drop_connection() { connection_ = {}; }

private:
    struct Attempt {
        Descriptor fd;
        Instant started;
        bool before = false;  // the knock
    };
    void begin(Instant now, bool before);
    Answer judge(Attempt& attempt, bool ended);

    Endpoint local_;
    Endpoint destination_;
    std::uint16_t port_;
    AttemptSchedule schedule_;
    std::vector<Attempt> attempts_;  // oldest first
    Descriptor connection_;
    bool was_open_before_ = false;
    Sign sign_ = Sign::silence;
};

}  // namespace oneknock

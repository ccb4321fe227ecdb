// The control socket: oneknockctl asks one line, gets one JSON text, and the connection ends.
//
// Whoever may connect may ask (the socket is 0660); what is asked is still bounded: few connections, short lines, a
// time limit, never a blocking write.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <poll.h>

#include "common/clock.hpp"
#include "common/fd.hpp"

namespace oneknock {

class ControlSocket {
public:
    using Connection = std::uint64_t;  // names one; answers to one that is gone are dropped

    explicit ControlSocket(Descriptor listening) : listening_(std::move(listening)) {}

    void add_to(std::vector<pollfd>& polled) const;
    [[nodiscard]] std::optional<Instant> next_due() const;

    // Accepts, reads and writes what is possible; calls asked(connection, line) for each complete line.
    using Asked = std::function<void(Connection, std::string_view)>;
    void serve(Instant now, const Asked& asked);

    void answer(Connection connection, std::string text);
    // For a question whose answer takes its time: the asker is given up then, and not after some seconds. It has a
    // place of its own, which nobody else is kept out by: how many there are is the caller's to bound.
    void give_until(Connection connection, Instant deadline);

private:
    static constexpr std::size_t most_connections = 16;
    static constexpr std::size_t longest_line = 200;
    static constexpr Instant patience = Seconds{5};
    static constexpr Instant pause = Seconds{1};  // where the system has no room for another connection

    struct Peer {
        Connection number;
        Descriptor fd;
        Instant deadline;
        std::string in;
        std::string out;
        bool asked = false;
        bool finished = false;
        bool has_own_place = false;

        // It has not asked, or does not take its answer: where there is no room, it is the one to go.
        [[nodiscard]] bool keeps_us_waiting() const { return !has_own_place && (!asked || !out.empty()); }
    };
    [[nodiscard]] bool is_full() const;
    [[nodiscard]] bool has_room() const;
    [[nodiscard]] bool make_room(Instant now);
    void serve_peers(const Asked& asked);
    void accept_all(Instant now);
    [[nodiscard]] static bool has_gone(const Peer& peer);
    void read(Peer& peer, const Asked& asked);
    static void write(Peer& peer);

    Descriptor listening_;
    std::vector<Peer> peers_;
    Connection next_ = 1;
    std::optional<Instant> accepts_again_;  // not before
};

}  // namespace oneknock

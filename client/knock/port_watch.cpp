#include "client/knock/port_watch.hpp"

#include <algorithm>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace oneknock {
namespace {

bool set_linger(int fd, const linger& value) {
    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value) == 0;
}

// A connection attempt that was refused on the spot counts as begun: look() finds its error. Failures of this machine
// (no descriptor, no port left) give nothing, and the next attempt tries again.
Descriptor begin_attempt(const Endpoint& local, const Endpoint& destination, std::uint16_t port) {
    Descriptor fd = open_socket(local.address.family, SOCK_STREAM);
    const int yes = 1;
    const SocketAddress from(local, 0);
    const SocketAddress to(destination, port);
    if (!fd || !set_linger(fd.get(), {1, 0})) return {};  // attempts that lose leave no TIME_WAIT behind
    // For a client this holds the handshake's last ACK back until there is data, for TCP_DELACK_MAX at most (Linux,
    // tcp_rcv_synsent_state_process). Without it only more probes are completed.
    setsockopt(fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &yes, sizeof yes);
    // Lets connect() choose the port with the destination in mind; older kernels choose earlier, which also works.
    setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(fd.get(), from.get(), from.length) != 0) return {};
    if (connect(fd.get(), to.get(), to.length) != 0 && errno != EINPROGRESS && errno != ECONNREFUSED) return {};
    return fd;
}

// Of an attempt that has come to an end: 0 if it is connected. A reset may have been reported before already: only a
// peer proves a connection.
int error_of(int fd) {
    SocketAddress peer;
    peer.length = sizeof peer.storage;
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) return error == 0 ? errno : error;
    return getpeername(fd, peer.get(), &peer.length) == 0 ? 0 : ECONNREFUSED;
}

// The kernel repeats a SYN after a second. Such a one, of an attempt from before the knock, follows the knock.
bool is_of_first_syn(int fd) {
    tcp_info info{};
    socklen_t length = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_total_retrans == 0;
}

PortWatch::Sign sign_of(int error) {
    if (error == ECONNREFUSED || error == ECONNRESET) return PortWatch::Sign::reset;
    return error == ETIMEDOUT ? PortWatch::Sign::silence : PortWatch::Sign::unreachable;
}

}  // namespace

void AttemptSchedule::tried(Instant now) { due_ = now + std::clamp((now - start_) / 2, step_, longest_step); }

void PortWatch::move_to(const Endpoint& local) {
    local_ = local;
    attempts_.clear();
    was_open_before_ = false;
}

void PortWatch::begin(Instant now, bool before) {
    if (attempts_.size() == most_attempts) return;
    if (Descriptor fd = begin_attempt(local_, destination_, port_)) attempts_.push_back({std::move(fd), now, before});
}

void PortWatch::attempt(Instant now) {
    if (now < schedule_.due()) return;
    schedule_.tried(now);
    begin(now, false);
}

void PortWatch::attempt_before(Instant now) { begin(now, true); }

void PortWatch::collect(std::vector<pollfd>& polls) const {
    for (const Attempt& attempt : attempts_) polls.push_back({attempt.fd.get(), POLLOUT, 0});
}

PortWatch::Answer PortWatch::judge(Attempt& attempt, bool ended) {
    const int error = ended ? error_of(attempt.fd.get()) : ETIMEDOUT;
    if (error != 0) {
        sign_ = sign_of(error);
        return Answer::refused;
    }
    was_open_before_ = was_open_before_ || (attempt.before && is_of_first_syn(attempt.fd.get()));
    if (!connection_) connection_ = std::move(attempt.fd);
    return Answer::accepted;
}

PortWatch::Answer PortWatch::look(Instant now) {
    std::vector<pollfd> states;
    collect(states);
    if (poll(states.data(), states.size(), 0) < 0) return Answer::none;
    Answer result = Answer::none;
    std::vector<Attempt> unanswered;
    for (std::size_t i = 0; i < attempts_.size(); ++i) {
        Attempt& attempt = attempts_[i];
        const bool ended = states[i].revents != 0;
        if (!ended && now - attempt.started <= patience) unanswered.push_back(std::move(attempt));
        else if (const Answer answer = judge(attempt, ended); result != Answer::accepted) result = answer;
    }
    attempts_ = std::move(unanswered);
    return result;
}

Descriptor PortWatch::take_connection() { return std::move(connection_); }

void use_connection(int fd) {
    const int now = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &now, sizeof now);
    set_linger(fd, {0, 0});  // it ends as connections do
}

}  // namespace oneknock

#include "server/gatekeeper/control/control_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>

#include "common/log.hpp"
#include "common/poll.hpp"

namespace oneknock {

void ControlSocket::add_to(std::vector<pollfd>& polled) const {
    if (has_room() && !accepts_again_) polled.push_back({listening_.get(), POLLIN, 0});
    for (const Peer& peer : peers_) {
        // Of one that waits for its answer only the end is awaited, which needs no flag: that it has shut its writing
        // side would be told again and again.
        const int events = !peer.out.empty() ? POLLOUT : peer.asked ? 0 : POLLIN;
        polled.push_back({peer.fd.get(), static_cast<short>(events), 0});
    }
}

std::optional<Instant> ControlSocket::next_due() const {
    if (peers_.empty()) return accepts_again_;
    return earliest(accepts_again_, std::ranges::min_element(peers_, {}, &Peer::deadline)->deadline);
}

bool ControlSocket::is_full() const {
    return std::ranges::count(peers_, false, &Peer::has_own_place) >= static_cast<std::ptrdiff_t>(most_connections);
}

bool ControlSocket::has_room() const { return !is_full() || std::ranges::any_of(peers_, &Peer::keeps_us_waiting); }

// Where silent peers take all the places, the oldest goes; one of this turn has not had its chance yet.
bool ControlSocket::make_room(Instant now) {
    if (!is_full()) return true;
    const auto oldest = std::ranges::find_if(
        peers_, [&](const Peer& peer) { return peer.keeps_us_waiting() && peer.deadline < now + patience; });
    if (oldest == peers_.end()) return false;
    peers_.erase(oldest);
    return true;
}

void ControlSocket::serve(Instant now, const Asked& asked) {
    serve_peers(asked);
    accept_all(now);
    serve_peers(asked);
    std::erase_if(peers_, [now](const Peer& peer) { return peer.finished || peer.deadline <= now; });
}

void ControlSocket::serve_peers(const Asked& asked) {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        if (peers_[i].asked) peers_[i].finished = has_gone(peers_[i]);
        else read(peers_[i], asked);
        if (!peers_[i].out.empty()) write(peers_[i]);
    }
    std::erase_if(peers_, &Peer::finished);
}

void ControlSocket::accept_all(Instant now) {
    if (accepts_again_ && now < *accepts_again_) return;
    accepts_again_.reset();
    for (std::size_t i = 0; i < most_connections; ++i) {
        if (!make_room(now)) return;
        Descriptor fd(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) return;
        if (!fd) {  // no descriptors, no memory: who waits would wake us again and again
            log::warning(std::string("cannot answer on the control socket for now: ") + std::strerror(errno));
            accepts_again_ = now + pause;
            return;
        }
        peers_.push_back({next_++, std::move(fd), now + patience, {}, {}, false, false, false});
    }
}

bool ControlSocket::has_gone(const Peer& peer) {
    pollfd state{peer.fd.get(), 0, 0};
    return poll(&state, 1, 0) > 0;  // POLLHUP: both sides are shut
}

void ControlSocket::read(Peer& peer, const Asked& asked) {
    char buffer[longest_line];
    const auto got = recv(peer.fd.get(), buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || peer.in.size() + static_cast<std::size_t>(got) > longest_line) {
        peer.finished = true;
        return;
    }
    peer.in.append(buffer, static_cast<std::size_t>(got));
    const auto end = peer.in.find('\n');
    if (end == std::string::npos) return;
    peer.asked = true;
    asked(peer.number, std::string_view(peer.in).substr(0, end));
}

void ControlSocket::write(Peer& peer) {
    const auto sent = send(peer.fd.get(), peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent > 0) peer.out.erase(0, static_cast<std::size_t>(sent));
    peer.finished = sent < 0 || peer.out.empty();
}

void ControlSocket::answer(Connection connection, std::string text) {
    const auto peer = std::ranges::find(peers_, connection, &Peer::number);
    if (peer != peers_.end()) peer->out = std::move(text);
}

void ControlSocket::give_until(Connection connection, Instant deadline) {
    const auto peer = std::ranges::find(peers_, connection, &Peer::number);
    if (peer == peers_.end()) return;
    peer->deadline = deadline;
    peer->has_own_place = true;
}

}  // namespace oneknock

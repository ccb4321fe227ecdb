#include "server/privsep/channel.hpp"

#include <cerrno>

#include <sys/socket.h>

namespace oneknock {
namespace {

// Nothing is wrong with the channel: there is no room or no memory for a moment.
bool passes_by_itself(int error) { return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR; }

}  // namespace

std::optional<Kind> Datagram::kind() const {
    std::uint32_t value = 0;
    if (size < sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data(), sizeof value);
    return static_cast<Kind>(value);
}

Result<std::pair<Channel, Channel>> Channel::make_pair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        return tl::unexpected(system_error("make", "a channel between the processes"));
    return std::pair{Channel(Descriptor(fds[0])), Channel(Descriptor(fds[1]))};
}

// True if the datagram left, or never can (then receive tells that the end is closed).
bool Channel::try_send(ByteSpan bytes) {
    while (::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return !passes_by_itself(errno);
    return true;
}

bool Channel::send_bytes(ByteSpan bytes, std::size_t longest_queue) {
    if (queue_.empty() && try_send(bytes)) return true;
    if (queue_.size() >= longest_queue) return false;
    queue_.emplace_back(bytes.begin(), bytes.end());
    return true;
}

void Channel::flush() {
    while (!queue_.empty() && try_send(queue_.front())) queue_.pop_front();
}

bool Channel::try_send_with(ByteSpan bytes, int descriptor) {
    flush();  // what was sent before arrives before
    if (wants_write()) return false;
    if (send_with_descriptor(fd_.get(), bytes, descriptor) >= 0) return true;
    return !passes_by_itself(errno) && errno != ETOOMANYREFS;
}

Channel::Received Channel::receive(Datagram& datagram) {
    iovec data{datagram.bytes.data(), datagram.bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    // Exactly one descriptor: in CMSG_SPACE there is room for a second one, which a hostile sender could leave with us.
    message.msg_controllen = CMSG_LEN(sizeof(int));
    const ssize_t got = recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && passes_by_itself(errno)) return Received::nothing;
    if (got <= 0) return Received::closed;
    datagram.size = static_cast<std::size_t>(got);
    datagram.descriptor.reset();
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
        datagram.descriptor.reset(fd);
    }
    return Received::datagram;
}

}  // namespace oneknock

// The command socket: sends batches and questions, and reads the kernel's answers by their sequence numbers.
#include <cerrno>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/firewall/nft/handles.hpp"
#include "server/firewall/nft/nft.hpp"

namespace oneknock::nft {
namespace {

// The kernel handles a batch inside send(), so that answers are there at once; this bounds what should never happen.
constexpr int longest_wait_ms = 1000;
constexpr int most_restarts = 20;                // of a dump that others' changes interrupt
constexpr std::size_t largest_dump = 64 * 1024;  // of one datagram: the kernel makes them no larger than 32 KiB
constexpr std::size_t small_batch = 64 * 1024;   // fits into any send buffer

// The errno in NLMSG_ERROR or at the end of a dump; both begin with it, negated.
int error_of(const nlmsghdr* message) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(int)) return message->nlmsg_type == NLMSG_DONE ? 0 : EPROTO;
    const int error = *static_cast<const int*>(mnl_nlmsg_get_payload(message));
    constexpr int largest_errno = 4095;  // MAX_ERRNO
    return error <= 0 && error >= -largest_errno ? -error : EPROTO;
}

// What answers NFT_MSG_GETx is NFT_MSG_NEWx, the number before it. libnftnl reads whatever it is given as what it was
// asked for, and may end this process over it.
bool answers(const nlmsghdr* message, std::uint16_t asked) {
    return message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | (asked - 1)) &&
           mnl_nlmsg_get_payload_len(message) >= sizeof(nfgenmsg);
}

// Calls `see` for each message of a datagram until it returns false.
template <class See>
bool for_each_message(const std::vector<char>& buffer, std::size_t length, See&& see) {
    int left = static_cast<int>(length);
    for (const auto* m = reinterpret_cast<const nlmsghdr*>(buffer.data()); is_whole(m, left);
         m = mnl_nlmsg_next(m, &left))
        if (!see(m)) return false;
    return true;
}

}  // namespace

Result<Socket> Socket::open() {
    Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    if (!fd) return tl::unexpected(errno);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    socklen_t length = sizeof address;
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
        return tl::unexpected(errno);
    const int on = 1;  // refusals without a copy of what was refused
    (void)setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    Socket opened(std::move(fd), address.nl_pid);
    opened.buffer_.resize(largest_dump);
    return opened;
}

int Socket::send(ByteSpan bytes) {
    if (bytes.size() > small_batch) {
        const int size = static_cast<int>(bytes.size() + small_batch);
        (void)setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    }
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    const auto sent =
        sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
    return sent < 0 ? errno : 0;
}

int Socket::await(int milliseconds) {
    pollfd ready{fd_.get(), POLLIN, 0};
    const int count = poll(&ready, 1, milliseconds);
    if (count < 0) return errno == EINTR ? 0 : errno;
    return count == 0 ? ETIMEDOUT : 0;
}

Result<std::size_t> Socket::receive() {
    for (;;) {
        sockaddr_nl from{};
        socklen_t length = sizeof from;
        const auto got =
            recvfrom(fd_.get(), buffer_.data(), buffer_.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
        if (got >= 0 && from.nl_pid == 0) return static_cast<std::size_t>(got);
        if (got >= 0 || errno == EINTR) continue;  // from another process, or a signal
        if (errno != EAGAIN) return tl::unexpected(errno);
        if (const int error = await(longest_wait_ms); error != 0) return tl::unexpected(error);
    }
}

int Socket::commit(Batch& batch, std::string* refused) {
    in_doubt_ = false;
    if (batch.labels_.empty()) return 0;  // which some kernels would not answer
    const auto [bytes, first, last] = batch.seal(next_number_);
    next_number_ = last + 2;  // the batch's end has a number too
    if (const int error = send(bytes); error != 0) return error;
    in_doubt_ = true;
    int first_error = 0;
    bool done = false;
    const auto see = [&, first = first, last = last](const nlmsghdr* m) {
        const std::uint32_t index = m->nlmsg_seq - first;
        if (m->nlmsg_type != NLMSG_ERROR || index > last - first) return true;  // a late answer to something else
        const int error = error_of(m);
        if (error != 0 && first_error == 0) {
            first_error = error;
            if (refused != nullptr) *refused = index == 0 ? "" : batch.labels_[index - 1];
        }
        // One that stands for the whole batch (no permission, no nf_tables) bears its beginning's number.
        done = m->nlmsg_seq == last || (index == 0 && error != 0);
        return !done;
    };
    while (!done) {
        const auto length = receive();
        if (!length) return length.error();
        for_each_message(buffer_, *length, see);
    }
    in_doubt_ = false;
    return first_error;
}

int Socket::ask(const Query& query, const Fill& fill, const OnMessage& on_message) {
    int error = EINTR;
    for (int i = 0; error == EINTR && i < most_restarts; ++i) error = ask_once(query, fill, on_message);
    return error;
}

int Socket::ask_once(const Query& query, const Fill& fill, const OnMessage& on_message) {
    std::vector<char> request(4096);
    const std::uint32_t number = next_number_++;
    nlmsghdr* header =
        nftnl_nlmsg_build_hdr(request.data(), query.type, query.family, query.dump ? NLM_F_DUMP : NLM_F_ACK, number);
    fill(header);
    if (const int error = send({reinterpret_cast<const std::uint8_t*>(header), header->nlmsg_len}); error != 0)
        return error;
    int error = 0;
    bool done = false;
    const auto see = [&](const nlmsghdr* m) {
        if (m->nlmsg_seq != number) return true;
        if ((m->nlmsg_flags & NLM_F_DUMP_INTR) != 0) error = EINTR;
        done = m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR;
        if (done && error == 0) error = error_of(m);
        if (!done && error == 0 && !(answers(m, query.type) && on_message(m))) error = EPROTO;
        return !done;
    };
    while (!done) {
        const auto length = receive();
        if (!length) return length.error();
        for_each_message(buffer_, *length, see);
    }
    return error;
}

}  // namespace oneknock::nft

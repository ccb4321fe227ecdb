#include "common/fd.hpp"

#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/text.hpp"

namespace oneknock {
namespace {

const char* limit_behind(int error) {
    switch (error) {
        case EMFILE: return "; raise the limit of open files (ulimit -n, or LimitNOFILE= in a unit)";
        case EFBIG: return "; raise the limit of a file's size (ulimit -f, or LimitFSIZE= in a unit)";
        default: return "";
    }
}

}  // namespace

void Descriptor::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

std::optional<std::size_t> read_to_end(int fd, std::span<std::uint8_t> room) {
    for (std::size_t length = 0; length < room.size();) {
        const auto got = ::read(fd, &room[length], room.size() - length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) return length;
        length += static_cast<std::size_t>(got);
    }
    errno = EFBIG;
    return std::nullopt;
}

bool write_all(int fd, ByteSpan content) {
    while (!content.empty()) {
        const auto wrote = ::write(fd, content.data(), content.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && errno == EAGAIN) {
            pollfd room{fd, POLLOUT, 0};
            poll(&room, 1, -1);
            continue;
        }
        if (wrote < 0) return false;
        content = content.subspan(static_cast<std::size_t>(wrote));
    }
    return true;
}

Result<void> write_standard_output(ByteSpan content) {
    if (!write_all(STDOUT_FILENO, content))
        return tl::unexpected(system_error("write to", "standard output", ExitCode::cannot_create));
    return {};
}

Result<void> print_line(std::string_view line) { return write_standard_output(as_bytes(std::string(line) + "\n")); }

ssize_t send_with_descriptor(int socket, ByteSpan bytes, int passed) {
    iovec data{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
    ssize_t sent = 0;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

Error system_error(std::string_view verb, const std::string& name, ExitCode otherwise) {
    const int error = errno;
    ExitCode exit = otherwise;
    if (error == ENOENT && otherwise != ExitCode::cannot_create) exit = ExitCode::no_input;
    if (error == EACCES || error == EPERM) exit = ExitCode::permission;
    if (error == EMFILE || error == ENFILE || error == ENOMEM) exit = ExitCode::system;
    return {exit,
            "cannot " + std::string(verb) + " " + printable(name) + ": " + std::strerror(error) + limit_behind(error)};
}

}  // namespace oneknock

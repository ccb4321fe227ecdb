#include "common/ask_daemon.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace oneknock {
namespace {

Error no_daemon(const std::string& socket, Seconds patience) {
    if (errno == EAGAIN)
        return {ExitCode::unavailable, "the daemon on " + socket + " did not answer within " +
                                           std::to_string(patience.count()) + " seconds; it may be busy, see its log"};
    if (errno == EACCES || errno == EPERM)
        return {ExitCode::permission, "permission denied on " + socket + "; run as root or join the socket's group"};
    return {ExitCode::unavailable, "no daemon answers on " + socket + " (" + std::strerror(errno) +
                                       "); is oneknockd running? If its \"socket\" is elsewhere, use --socket PATH"};
}

}  // namespace

Result<Descriptor> connect_to_daemon(const std::string& socket, Seconds patience) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.size() >= sizeof address.sun_path)
        return fail(ExitCode::usage, "the socket's path is too long: " + socket);
    std::memcpy(address.sun_path, socket.c_str(), socket.size());
    Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{patience.count(), 0};
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})  // connecting counts as sending
        setsockopt(fd.get(), SOL_SOCKET, option, &limit, sizeof limit);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return tl::unexpected(no_daemon(socket, patience));
    return fd;
}

Result<std::string> ask(const Descriptor& daemon, const std::string& socket, const std::string& question,
                        Seconds patience) {
    const std::string line = question + "\n";
    if (send(daemon.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
        return tl::unexpected(no_daemon(socket, patience));
    std::string answer;
    char buffer[8192];
    for (;;) {
        const auto got = recv(daemon.get(), buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tl::unexpected(no_daemon(socket, patience));
        if (got == 0) break;
        answer.append(buffer, static_cast<std::size_t>(got));
    }
    if (answer.empty())
        return fail(ExitCode::unavailable,
                    "the daemon on " + socket + " ended the connection without an answer; see its log");
    return answer;
}

}  // namespace oneknock

#include "common/ask_daemon.hpp"

#include <cerrno>
#include <cstring>
#include <iterator>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <nlohmann/json.hpp>

#include "common/json_text.hpp"
#include "common/poll.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr int deepest = 8;  // twice what is in an answer

Error no_daemon(const std::string& path, Seconds patience, int error = errno) {
    const std::string socket = printable(path);
    if (error == EAGAIN)
        return {ExitCode::unavailable, "the daemon on " + socket + " did not answer within " +
                                           std::to_string(patience.count()) + " seconds; it may be busy, see its log"};
    if (error == EACCES || error == EPERM)
        return {ExitCode::permission, "permission denied on " + socket + "; run as root or join the socket's group"};
    return {ExitCode::unavailable, "no daemon answers on " + socket + " (" + std::strerror(error) +
                                       "); is oneknockd running? If its \"socket\" is elsewhere, use --socket PATH"};
}

Result<std::string> read_to_end(const Descriptor& daemon, const std::string& socket, Seconds patience) {
    const Instant deadline = read_clocks().steady + patience;
    std::string answer;
    char buffer[8192];
    for (;;) {
        const auto got = recv(daemon.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got == 0) return answer;
        const bool waits = got < 0 && (errno == EAGAIN || errno == EINTR);
        if (got < 0 && !waits) return tl::unexpected(no_daemon(socket, patience));
        if (got > 0) answer.append(buffer, static_cast<std::size_t>(got));
        if (answer.size() > largest_answer)
            return fail(ExitCode::data,
                        "the daemon on " + printable(socket) + " does not end its answer; what is on this socket?");
        if (read_clocks().steady >= deadline) return tl::unexpected(no_daemon(socket, patience, EAGAIN));
        pollfd polled{daemon.get(), POLLIN, 0};
        if (waits) poll_until({&polled, 1}, deadline);
    }
}

using Json = nlohmann::ordered_json;

void make_harmless(Json& value, int depth) {
    if (value.is_string()) value = printable(value.get_ref<const std::string&>());
    if (!value.is_structured()) return;
    if (depth == deepest) value = nullptr;
    for (auto part = value.begin(); part != value.end();) {
        const bool is_named_well = !value.is_object() || printable(part.key()) == part.key();
        if (is_named_well) make_harmless(*part, depth + 1);
        part = is_named_well ? std::next(part) : value.erase(part);
    }
}

// The daemon's gatekeeper reads what strangers send: were it taken over, its answers would be theirs. What is nested
// deeper than an answer is, or has a name that none has, is left out.
std::optional<std::string> made_harmless(const std::string& answer) {
    Json parsed = Json::parse(answer, nullptr, false);
    if (parsed.is_discarded()) return std::nullopt;
    make_harmless(parsed, 0);
    return json::text(parsed) + "\n";
}

}  // namespace

Result<Descriptor> connect_to_daemon(const std::string& socket, Seconds patience) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.size() >= sizeof address.sun_path)
        return fail(ExitCode::usage, "the socket's path is too long: " + printable(socket));
    std::memcpy(address.sun_path, socket.c_str(), socket.size());
    Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{patience.count(), 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // connecting counts as sending
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return tl::unexpected(no_daemon(socket, patience));
    return fd;
}

Result<std::string> ask(const Descriptor& daemon, const std::string& socket, const std::string& question,
                        Seconds patience) {
    const std::string line = question + "\n";
    if (send(daemon.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
        return tl::unexpected(no_daemon(socket, patience));
    const auto answer = read_to_end(daemon, socket, patience);
    if (!answer) return answer;
    if (answer->empty())
        return fail(ExitCode::unavailable,
                    "the daemon on " + printable(socket) + " ended the connection without an answer; see its log");
    if (auto harmless = made_harmless(*answer)) return *std::move(harmless);
    return fail(ExitCode::data, "the daemon on " + printable(socket) +
                                    " gave an answer that cannot be read; are this program and it of one version?");
}

}  // namespace oneknock

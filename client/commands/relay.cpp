#include "client/commands/relay.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/commands/flow.hpp"
#include "common/fd.hpp"
#include "common/poll.hpp"

namespace oneknock {
namespace {

// A pipe or a socket that poll() calls writable takes this much without blocking. A terminal may not.
constexpr std::size_t safe_piece = PIPE_BUF;

constexpr short trouble = POLLERR | POLLHUP | POLLNVAL;

// A terminal under a file description of our own, which may be non-blocking: the other one is the shell's as well.
Descriptor own_terminal(int fd) {
    if (isatty(fd) == 0) return {};
    return Descriptor(
        open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

int take_error(int socket) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

short wanted(bool reading, bool writing) {
    return static_cast<short>((reading ? POLLIN : 0) | (writing ? POLLOUT : 0));
}

class Relay {
public:
    Relay(int input, int output, int connection, Instant patience)
        : input_(input),
          output_(output),
          connection_(connection),
          patience_(patience),
          terminal_(own_terminal(output)),
          out_(input, connection, SIZE_MAX),
          in_(connection, terminal_ ? terminal_.get() : output, safe_piece) {}

    Result<void> run() {
        while (!is_finished()) {
            std::array<pollfd, 3> polls{pollfd{out_.wants_input() ? input_ : -1, POLLIN, 0}, watch_connection(),
                                        pollfd{in_ended_ ? -1 : output_, wanted(false, in_.is_loaded()), 0}};
            poll_until(polls, due());
            now_ = read_clocks().steady;
            look_at_connection(polls[1].revents);
            if (polls[0].revents != 0) note(out_.read_some(), out_moved_);
            look_at_output(polls[2].revents);
            pass_ends_on();
        }
        return verdict();
    }

private:
    // A connection that is over in both directions is reported again and again: it is not asked while nothing can be
    // done with it.
    [[nodiscard]] pollfd watch_connection() const {
        const short events = wanted(in_.wants_input(), out_.is_loaded());
        return {events == 0 && hung_up_ ? -1 : connection_, events, 0};
    }

    void look_at_connection(short happened) {
        if (happened == 0) return;
        if (in_.wants_input()) note(in_.read_some(), in_moved_);
        if (out_.is_loaded()) note(out_.write_some(), out_moved_);
        const bool idle = !in_.wants_input() && !out_.is_loaded();
        const int error = (happened & trouble) != 0 && idle ? take_error(connection_) : 0;
        hung_up_ = hung_up_ || (happened & trouble) != 0;
        for (const int each : {in_.read_error(), out_.write_error(), error})
            if (each != 0 && broken_ == 0) break_off(each);
    }

    void break_off(int error) {
        broken_ = error;
        in_moved_ = now_;
        out_.give_up();
    }

    void look_at_output(short happened) {
        if (happened == 0) return;
        if (in_.is_loaded()) note(in_.write_some(), in_moved_);
        else if ((happened & trouble) != 0) in_.give_up();
    }

    void pass_ends_on() {
        if (out_.is_over() && !std::exchange(out_ended_, true)) shutdown(connection_, SHUT_WR);
        if (!in_.is_over() || std::exchange(in_ended_, true)) return;
        out_moved_ = now_;
        shutdown(output_, SHUT_WR);
        close(output_);
        terminal_.reset();
    }

    void note(bool moved, Instant& when) const {
        if (moved) when = now_;
    }

    // Bytes that wait for the peer to read them are waited for: it lives.
    [[nodiscard]] std::optional<Instant> due() const {
        if (broken_ != 0) return in_moved_ + patience_;
        if (in_ended_ && !out_.is_loaded()) return out_moved_ + patience_;
        return std::nullopt;
    }

    [[nodiscard]] bool is_finished() const {
        const auto end = due();
        return (in_ended_ && out_ended_) || (end && now_ >= *end);
    }

    [[nodiscard]] Result<void> verdict() const {
        if (broken_ != 0)
            return fail(ExitCode::unavailable,
                        std::string("the connection broke off before its end: ") + std::strerror(broken_));
        if (in_.write_error() == 0) return {};
        return fail(ExitCode::cannot_create,
                    std::string("cannot write to standard output: ") + std::strerror(in_.write_error()));
    }

    int input_;
    int output_;
    int connection_;
    Instant patience_;
    Descriptor terminal_;
    Flow out_;
    Flow in_;
    Instant now_ = read_clocks().steady;
    Instant out_moved_ = now_, in_moved_ = now_;
    bool out_ended_ = false;
    bool in_ended_ = false;
    bool hung_up_ = false;
    int broken_ = 0;
};

}  // namespace

Result<void> relay(int input, int output, int connection, Instant patience) {
    return Relay(input, output, connection, patience).run();
}

Result<void> pass_descriptor(int descriptor, int to) {
    if (send_with_descriptor(to, Bytes<1>{}, descriptor) == 1) return {};
    return fail(ExitCode::usage, std::string("--fdpass: cannot pass the connection over standard output: ") +
                                     std::strerror(errno) + "; use it in ssh_config with ProxyUseFdpass yes");
}

}  // namespace oneknock

#include "client/commands/relay.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.hpp"

namespace oneknock {
namespace {

// One direction. Bytes are read only when all earlier ones are gone, so a slow reader slows the writer down.
class Flow {
public:
    // `piece`: the most that one write may take.
    Flow(int from, int to, std::size_t piece) : from_(from), to_(to), piece_(piece) {}

    [[nodiscard]] bool is_over() const { return over_; }
    [[nodiscard]] int read_fd() const { return !over_ && begin_ == end_ ? from_ : -1; }
    [[nodiscard]] int write_fd() const { return begin_ != end_ ? to_ : -1; }

    void read_some() {
        const auto got = read(from_, buffer_.data(), buffer_.size());
        if (got > 0) {
            begin_ = 0;
            end_ = static_cast<std::size_t>(got);
        } else if (got == 0 || !is_temporary()) {
            over_ = true;
        }
    }

    void write_some() {
        const auto wrote = write(to_, &buffer_[begin_], std::min(end_ - begin_, piece_));
        if (wrote > 0) begin_ += static_cast<std::size_t>(wrote);
        else if (wrote < 0 && !is_temporary()) give_up();
    }

private:
    [[nodiscard]] static bool is_temporary() { return errno == EINTR || errno == EAGAIN; }
    void give_up() {
        over_ = true;
        begin_ = end_ = 0;
    }

    int from_;
    int to_;
    std::size_t piece_;
    std::array<char, 65536> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool over_ = false;
};

// A pipe or terminal that poll() calls writable takes this much without blocking.
constexpr std::size_t safe_piece = PIPE_BUF;

class Relay {
public:
    Relay(int input, int output, int connection)
        : output_(output),
          connection_(connection),
          out_(input, connection, SIZE_MAX),
          in_(connection, output, safe_piece) {}

    Result<void> run() {
        while (!out_.is_over() || !in_.is_over()) {
            std::array<pollfd, 4> polls{pollfd{out_.read_fd(), POLLIN, 0}, pollfd{out_.write_fd(), POLLOUT, 0},
                                        pollfd{in_.read_fd(), POLLIN, 0}, pollfd{in_.write_fd(), POLLOUT, 0}};
            if (poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR)
                return fail(ExitCode::system, std::string("cannot poll: ") + std::strerror(errno));
            if (polls[0].revents != 0) out_.read_some();
            if (polls[1].revents != 0) out_.write_some();
            if (polls[2].revents != 0) in_.read_some();
            if (polls[3].revents != 0) in_.write_some();
            pass_ends_on();
        }
        return {};
    }

private:
    void pass_ends_on() {
        if (out_.is_over() && !std::exchange(out_ended_, true)) shutdown(connection_, SHUT_WR);
        if (in_.is_over() && !std::exchange(in_ended_, true)) close(output_);
    }

    int output_;
    int connection_;
    Flow out_;
    Flow in_;
    bool out_ended_ = false;
    bool in_ended_ = false;
};

}  // namespace

Result<void> relay(int input, int output, int connection) { return Relay(input, output, connection).run(); }

Result<void> pass_descriptor(int descriptor, int to) {
    if (send_with_descriptor(to, Bytes<1>{}, descriptor) == 1) return {};
    return fail(ExitCode::usage, std::string("--fdpass: cannot pass the connection over standard output: ") +
                                     std::strerror(errno) + "; use it in ssh_config with ProxyUseFdpass yes");
}

}  // namespace oneknock

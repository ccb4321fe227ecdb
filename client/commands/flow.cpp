#include "client/commands/flow.hpp"

#include <algorithm>
#include <cerrno>

#include <unistd.h>

namespace oneknock {
namespace {

bool is_temporary() { return errno == EINTR || errno == EAGAIN; }

}  // namespace

bool Flow::read_some() {
    const auto got = read(from_, buffer_.data(), buffer_.size());
    if (got > 0) {
        begin_ = 0;
        end_ = static_cast<std::size_t>(got);
        return true;
    }
    if (got < 0 && is_temporary()) return false;
    if (got < 0) read_error_ = errno;
    ended_ = true;
    return false;
}

bool Flow::write_some() {
    const auto wrote = write(to_, &buffer_[begin_], std::min(end_ - begin_, piece_));
    if (wrote > 0) begin_ += static_cast<std::size_t>(wrote);
    if (wrote >= 0) return wrote > 0;
    if (is_temporary()) return false;
    write_error_ = errno;
    give_up();
    return false;
}

void Flow::give_up() {
    ended_ = true;
    begin_ = end_ = 0;
}

}  // namespace oneknock

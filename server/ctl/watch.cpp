#include "server/ctl/watch.hpp"

#include <cerrno>

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "server/ctl/screen.hpp"

namespace oneknock {
namespace {

// Nothing where it is not known.
ScreenSize size_of_terminal() {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
    return {size.ws_row, size.ws_col};
}

}  // namespace

Result<void> wait_a_second() {
    constexpr int second = 1000;
    pollfd output{STDOUT_FILENO, 0, 0};
    if (poll(&output, 1, second) <= 0 || (output.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0) return {};
    errno = (output.revents & POLLNVAL) != 0 ? EBADF : EPIPE;
    return tl::unexpected(system_error("write to", "standard output", ExitCode::cannot_create));
}

Result<void> watch(const std::function<Result<std::string>()>& show) {
    const bool in_place = isatty(STDOUT_FILENO) != 0;
    if (in_place)
        if (auto cleared = write_standard_output(as_bytes(clear_screen)); !cleared) return cleared;
    for (;;) {
        const auto text = show();
        if (!text) return tl::unexpected(text.error());
        const std::string shown = in_place ? drawn_over(*text, size_of_terminal()) : *text;
        if (auto written = write_standard_output(as_bytes(shown)); !written) return written;
        if (auto open = wait_a_second(); !open) return open;
    }
}

}  // namespace oneknock

#include "client/commands/progress_line.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

#include "client/message/milliseconds.hpp"
#include "common/fd.hpp"

namespace oneknock {
namespace {

constexpr Instant first_shown = std::chrono::milliseconds{300};  // most knocks are through by then
constexpr Instant step = std::chrono::milliseconds{100};
constexpr std::string_view erase_line = "\r\033[K";

bool is_redrawable() {
    const char* const term = std::getenv("TERM");
    return isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

std::size_t columns() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1U : 79U;
}

std::string_view sign_text(PortWatch::Sign sign) {
    if (sign == PortWatch::Sign::silence) return "no answer";
    return sign == PortWatch::Sign::reset ? "resets" : "unreachable";
}

std::string state_of(const TargetKnock& knock) {
    if (knock.last_failure()) return knock.last_failure()->message;
    std::string text = knock.request().service().text() + " at " + knock.target().destination->address.text() +
                       ": message " + std::to_string(knock.messages()) + " by " + via_name(knock.via());
    if (knock.pace() != Instant{0}) text += ", " + milliseconds_text(knock.pace()) + " ms between packets";
    return text.append("; ").append(sign_text(knock.watch().sign()));
}

}  // namespace

std::string progress_text(const KnockOutcome& so_far, const KnockOptions& options) {
    std::string text = so_far.not_found && so_far.knocks.empty() ? so_far.not_found->message : "";
    for (std::size_t i = 0; i < so_far.knocks.size() && text.empty(); ++i)
        if (!so_far.targets[i].failed && !so_far.targets[i].retired) text = state_of(so_far.knocks[i]);
    const auto seconds = [](Instant time) { return std::to_string(std::chrono::floor<Seconds>(time).count()); };
    return seconds(so_far.elapsed) + " of " + seconds(options.wait.value_or(default_wait)) + " s: " + text;
}

ProgressLine::ProgressLine(const KnockOptions& options)
    : options_(options), is_terminal_(options.wait && !options.verbose && is_redrawable()), next_(first_shown) {}

void ProgressLine::show(const KnockOutcome& so_far) {
    if (!is_terminal_ || so_far.elapsed < next_) return;
    next_ = so_far.elapsed + step;
    const std::string line = std::string(erase_line) + progress_text(so_far, options_).substr(0, columns());
    static_cast<void>(write_all(STDERR_FILENO, as_bytes(line)));
    is_shown_ = true;
}

void ProgressLine::clear() {
    if (is_shown_) static_cast<void>(write_all(STDERR_FILENO, as_bytes(erase_line)));
    is_shown_ = false;
}

}  // namespace oneknock

#include "client/door/question.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "common/fd.hpp"

namespace oneknock {
namespace {

// A terminal hands out a line at a time, of at most 4095 characters; nobody types as many here.
constexpr std::size_t longest_answer = 512;

ssize_t read_line(int terminal, std::span<char> line) {
    for (;;) {
        const auto got = read(terminal, line.data(), line.size());
        if (got >= 0 || errno != EINTR) return got;
    }
}

}  // namespace

Result<std::string> ask_on_terminal(const std::string& question) {
    const Descriptor terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!terminal) return fail(ExitCode::no_input, "there is no terminal to ask on");
    if (!write_all(terminal.get(), as_bytes(question)))
        return tl::unexpected(system_error("use", "/dev/tty", ExitCode::no_input));
    std::array<char, longest_answer> line{};
    const auto got = read_line(terminal.get(), line);
    if (got <= 0) return fail(ExitCode::no_input, "no answer was given");
    std::string answer(line.data(), static_cast<std::size_t>(got));
    while (!answer.empty() && (answer.back() == '\n' || answer.back() == '\r')) answer.pop_back();
    return answer;
}

}  // namespace oneknock

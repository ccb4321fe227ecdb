#include "client/ssh/remote_command.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/startup.hpp"

namespace oneknock {
namespace {

constexpr std::size_t longest_answer = 64 * 1024;  // of a client with hundreds of generations

std::vector<std::string> words_for(const SshDestination& destination, const std::string& command) {
    std::vector<std::string> words{"ssh", "-T"};
    words.insert(words.end(), destination.options.begin(), destination.options.end());
    words.insert(words.end(), {"--", destination.host, command});
    return words;
}

[[noreturn]] void become(std::vector<std::string> words, int output) {
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int nothing = open("/dev/null", O_RDONLY);
    restore_signals();
    if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0)
        execvp(arguments.front(), arguments.data());
    log::error(system_error("run", "ssh").message);
    _exit(ssh_failed);
}

Result<SecretBytes> read_answer(int fd) {
    SecretBytes text(longest_answer);
    if (const auto length = read_to_end(fd, text.bytes())) {
        text.shrink(*length);
        return text;
    }
    if (errno == EFBIG) return fail(ExitCode::data, "the server's answer is longer than any of oneknock-keygen");
    return tl::unexpected(system_error("read from", "ssh"));
}

int status_of(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return ssh_failed;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<RemoteAnswer> run_at(const SshDestination& destination, const std::string& command) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected(system_error("run", "ssh"));
    Descriptor output(ends[0]), input(ends[1]);
    const pid_t pid = fork();
    if (pid == 0) become(words_for(destination, command), input.get());
    if (pid < 0) return tl::unexpected(system_error("run", "ssh"));
    input.reset();
    auto text = read_answer(output.get());
    output.reset();  // whoever still writes is told
    const int status = status_of(pid);
    if (!text) return tl::unexpected(text.error());
    return RemoteAnswer{*std::move(text), status};
}

}  // namespace oneknock

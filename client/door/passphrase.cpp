#include "client/door/passphrase.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <functional>

#include <fcntl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "client/door/askpass.hpp"
#include "common/log.hpp"
#include "common/poll.hpp"
#include "common/text.hpp"
#include "keys/key_encryption.hpp"

namespace oneknock {
namespace {

constexpr int attempts = 3;
constexpr std::uint8_t interrupt_key = 3;  // Ctrl-C

// The terminal with its echo off, restored at the end. Signals that would end or stop this program are held back
// meanwhile and take effect once the echo is on again; Ctrl-C ends the line instead of sending one.
class SilentTerminal {
public:
    explicit SilentTerminal(int fd) : fd_(fd) {
        sigset_t held;
        sigemptyset(&held);
        for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP}) sigaddset(&held, signal);
        sigprocmask(SIG_BLOCK, &held, &before_signals_);
        signals_ = Descriptor(signalfd(-1, &held, SFD_CLOEXEC));
        silent_ = signals_ && tcgetattr(fd, &before_) == 0;
        if (!silent_) return;
        termios mode = before_;
        mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
        mode.c_lflag |= ICANON;
        mode.c_cc[VEOL] = interrupt_key;
        silent_ = tcsetattr(fd, TCSAFLUSH, &mode) == 0;
    }
    ~SilentTerminal() {
        if (silent_) tcsetattr(fd_, TCSAFLUSH, &before_);
        sigprocmask(SIG_SETMASK, &before_signals_, nullptr);
    }
    SilentTerminal(const SilentTerminal&) = delete;
    SilentTerminal& operator=(const SilentTerminal&) = delete;

    [[nodiscard]] bool is_silent() const { return silent_; }

    // False if a signal came first.
    [[nodiscard]] bool wait_for_input() const {
        std::array<pollfd, 2> polls{pollfd{fd_, POLLIN, 0}, pollfd{signals_.get(), POLLIN, 0}};
        poll_until(polls, {});
        return polls[1].revents == 0;
    }

private:
    int fd_;
    termios before_{};
    sigset_t before_signals_{};
    Descriptor signals_;  // readable while one is held back; never read, so that it takes effect
    bool silent_ = false;
};

// Without its line feed; the rest of the descriptor is left for others. `wait` is called before each byte: false gives
// up.
Result<SecretBytes> read_line(int fd, const std::string& name, const std::function<bool()>& wait) {
    SecretBytes line(longest_passphrase + 1);
    std::size_t length = 0;
    while (length < line.bytes().size()) {
        if (!wait()) return fail(ExitCode::no_input, "interrupted");
        const auto got = read(fd, &line.bytes()[length], 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tl::unexpected(system_error("read the passphrase from", name, ExitCode::no_input));
        if (got == 0 || line.bytes()[length] == '\n') break;
        if (line.bytes()[length++] == interrupt_key) return fail(ExitCode::no_input, "no passphrase was given");
    }
    if (length == 0) return fail(ExitCode::data, "the passphrase is empty");
    if (length > longest_passphrase)
        return fail(ExitCode::data, "the passphrase is longer than " + std::to_string(longest_passphrase) + " bytes");
    line.shrink(length);
    return line;
}

bool say(int fd, std::string_view text) {
    return write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Nothing if a signal came.
std::optional<Result<SecretBytes>> ask_once(int terminal, const std::string& question) {
    const SilentTerminal silent(terminal);
    if (!silent.is_silent() || !say(terminal, question + ": "))
        return tl::unexpected(system_error("use", "/dev/tty", ExitCode::no_input));
    bool interrupted = false;
    auto line = read_line(terminal, "/dev/tty", [&] { return !(interrupted = !silent.wait_for_input()); });
    static_cast<void>(say(terminal, "\n"));  // the one that was typed was not shown
    if (interrupted) return std::nullopt;
    return line;
}

// A signal that does not end the program, or a stop that has been continued: the question is asked again.
Result<SecretBytes> ask_on_terminal(int terminal, const std::string& question) {
    for (;;)
        if (auto line = ask_once(terminal, question)) return *std::move(line);
}

Result<SecretBytes> ask_by_program(const std::string& program, const std::string& question) {
    auto run = AskpassRun::start(program, question);
    if (!run) return tl::unexpected(run.error());
    auto line = read_line(run->output(), program, [] { return true; });
    if (run->finish()) return line;
    return fail(ExitCode::no_input, printable(program) + " gave no passphrase: it could not be run, or was cancelled");
}

Result<SecretBytes> ask_a_person(const std::string& question) {
    const auto askpass = Askpass::choose();
    if (askpass && askpass->before_terminal) return ask_by_program(askpass->program, question);
    const Descriptor terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (terminal) return ask_on_terminal(terminal.get(), question);
    if (askpass) return ask_by_program(askpass->program, question);
    return fail(ExitCode::no_input,
                "the key needs a passphrase, and there is no terminal to ask for it; unlock it beforehand with: "
                "oneknock unlock DOOR, set ONEKNOCK_ASKPASS to a program that asks, or, in a script, pass it on a "
                "descriptor with --key-fd");
}

}  // namespace

Result<SecretBytes> Passphrases::ask(const std::string& question) {
    return asks_a_person() ? ask_a_person(printable(question))  // which names a file
                           : read_line(fd_.get(), "the descriptor of --key-fd", [] { return true; });
}

Result<SecretBytes> Passphrases::ask_new(const std::string& question) {
    auto first = ask(question);
    if (!first || !asks_a_person()) return first;
    const auto second = ask("the same again");
    if (!second) return tl::unexpected(second.error());
    if (!std::ranges::equal(first->bytes(), second->bytes()))
        return fail(ExitCode::data, "the two passphrases differ; nothing was changed");
    return first;
}

Result<Passphrases::Unlocked> Passphrases::unlock(const EncryptedKey& locked, const std::string& path) {
    for (int left = asks_a_person() ? attempts : 1;; --left) {
        auto passphrase = ask("passphrase of " + path);
        if (!passphrase) return tl::unexpected(passphrase.error());
        auto unlocking = unlocking_key(*passphrase, locked.lock);
        if (!unlocking) return tl::unexpected(unlocking.error());
        auto key = decrypt_key(locked, *unlocking, path);
        if (key) return Unlocked{std::move(*key), std::move(*passphrase), std::move(*unlocking)};
        if (left <= 1) return tl::unexpected(key.error());
        log::warning(key.error().message);
    }
}

}  // namespace oneknock

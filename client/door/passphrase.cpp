#include "client/door/passphrase.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "common/log.hpp"
#include "keys/key_encryption.hpp"

namespace oneknock {
namespace {

constexpr int attempts = 3;
constexpr std::uint8_t interrupt_key = 3;  // Ctrl-C

// The terminal with its echo off, put back at the end. Ctrl-C ends the line instead of the program, which would leave
// the echo off.
class SilentTerminal {
public:
    explicit SilentTerminal(int fd) : fd_(fd) {
        silent_ = tcgetattr(fd, &before_) == 0;
        if (!silent_) return;
        termios mode = before_;
        mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
        mode.c_lflag |= ICANON;
        mode.c_cc[VEOL] = interrupt_key;
        silent_ = tcsetattr(fd, TCSAFLUSH, &mode) == 0;
    }
    ~SilentTerminal() {
        if (silent_) tcsetattr(fd_, TCSAFLUSH, &before_);
    }
    SilentTerminal(const SilentTerminal&) = delete;
    SilentTerminal& operator=(const SilentTerminal&) = delete;

    [[nodiscard]] bool is_silent() const { return silent_; }

private:
    int fd_;
    termios before_{};
    bool silent_ = false;
};

// Without its line feed; the rest of the descriptor is left for others.
Result<SecretBytes> read_line(int fd, const std::string& name) {
    SecretBytes line(longest_passphrase + 1);
    std::size_t length = 0;
    while (length < line.bytes().size()) {
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

Result<SecretBytes> ask_on_terminal(const std::string& question) {
    const Descriptor terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!terminal)
        return fail(ExitCode::no_input,
                    "the key needs a passphrase, and there is no terminal to ask for it; in a script " +
                        std::string("give it on a descriptor with --key-fd"));
    const SilentTerminal silent(terminal.get());
    if (!silent.is_silent() || !say(terminal.get(), question + ": "))
        return tl::unexpected(system_error("use", "/dev/tty", ExitCode::no_input));
    auto line = read_line(terminal.get(), "/dev/tty");
    static_cast<void>(say(terminal.get(), "\n"));  // the one that was typed was not shown
    return line;
}

}  // namespace

Result<SecretBytes> Passphrases::ask(const std::string& question) {
    return on_terminal() ? ask_on_terminal(question) : read_line(fd_.get(), "the descriptor of --key-fd");
}

Result<SecretBytes> Passphrases::ask_new(const std::string& question) {
    auto first = ask(question);
    if (!first || !on_terminal()) return first;
    const auto second = ask("the same again");
    if (!second) return tl::unexpected(second.error());
    if (!std::ranges::equal(first->bytes(), second->bytes()))
        return fail(ExitCode::data, "the two passphrases differ; nothing was changed");
    return first;
}

Result<Passphrases::Unlocked> Passphrases::unlock(const EncryptedKey& locked, const std::string& path) {
    for (int left = on_terminal() ? attempts : 1;; --left) {
        auto passphrase = ask("passphrase of " + path);
        if (!passphrase) return tl::unexpected(passphrase.error());
        auto key = decrypt_key(locked, *passphrase, path);
        if (key) return Unlocked{std::move(*key), std::move(*passphrase)};
        if (left <= 1) return tl::unexpected(key.error());
        log::warning(key.error().message);
    }
}

}  // namespace oneknock

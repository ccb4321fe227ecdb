#include "client/door/passphrase.hpp"

#include <csignal>
#include <cstring>
#include <utility>

#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

enum Verdict : int { given = 0, wrong = 1, killed = 2, killed_without_echo = 3 };

[[noreturn]] void ask_for_it() {
    prctl(PR_SET_DUMPABLE, 0);  // SIGQUIT leaves no core file
    const auto passphrase = Passphrases(std::nullopt).ask("passphrase");
    _exit(passphrase && std::memcmp(passphrase->bytes().data(), "open sesame", 11) == 0 ? given : wrong);
}

// The leader of a session with a terminal, in which another process asks. The terminal is reset when its leader ends,
// so the leader looks at it.
[[noreturn]] void lead(int asker_to, bool ignore_signals) {
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) std::signal(number, SIG_DFL);  // whoever runs the tests
    const pid_t asker = fork();
    if (asker == 0) {
        if (ignore_signals) std::signal(SIGHUP, SIG_IGN);
        ask_for_it();
    }
    if (write(asker_to, &asker, sizeof asker) != sizeof asker) _exit(wrong);
    int status = 0;
    waitpid(asker, &status, 0);
    termios mode{};
    tcgetattr(STDIN_FILENO, &mode);
    if (WIFSIGNALED(status)) _exit((mode.c_lflag & ECHO) != 0 ? killed : killed_without_echo);
    _exit(WEXITSTATUS(status));
}

class Session {
public:
    explicit Session(bool ignore_signals = false) {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        int terminal = -1;
        leader_ = forkpty(&terminal, nullptr, nullptr, nullptr);
        REQUIRE(leader_ >= 0);
        if (leader_ == 0) lead(ends[1], ignore_signals);
        terminal_ = Descriptor(terminal);
        const Descriptor from(ends[0]), to(ends[1]);
        REQUIRE(read(from.get(), &asker_, sizeof asker_) == sizeof asker_);
    }
    ~Session() {
        if (leader_ > 0) kill(leader_, SIGKILL);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Waits for the question: from then on the echo is off.
    void await_question() {
        std::string shown;
        while (shown.find("passphrase: ") == std::string::npos) {
            pollfd state{terminal_.get(), POLLIN, 0};
            REQUIRE(poll(&state, 1, 10'000) == 1);
            char byte = 0;
            REQUIRE(read(terminal_.get(), &byte, 1) == 1);
            shown += byte;
        }
    }
    void type(const std::string& text) const {
        REQUIRE(write(terminal_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    void send(int signal) const { REQUIRE(kill(asker_, signal) == 0); }
    [[nodiscard]] int verdict() {
        int status = 0;
        REQUIRE(waitpid(std::exchange(leader_, -1), &status, 0) > 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    pid_t leader_ = -1;
    pid_t asker_ = -1;
    Descriptor terminal_;
};

}  // namespace

TEST_CASE("a passphrase is typed on the terminal, and Ctrl-C gives up") {
    Session session;
    session.await_question();
    session.type("open sesame\n");
    CHECK(session.verdict() == given);
    Session given_up;
    given_up.await_question();
    given_up.type("open\x03");
    CHECK(given_up.verdict() == wrong);
}

TEST_CASE("a signal ends the question and leaves the terminal with its echo") {
    const int signal = GENERATE(SIGTERM, SIGHUP, SIGINT, SIGQUIT);
    CAPTURE(signal);
    Session session;
    session.await_question();
    session.type("half a line");
    session.send(signal);
    CHECK(session.verdict() == killed);
}

TEST_CASE("after a signal that is ignored the question is asked again") {
    Session session(true);
    session.await_question();
    session.type("half a line");
    session.send(SIGHUP);
    session.await_question();
    session.type("open sesame\n");
    CHECK(session.verdict() == given);
}

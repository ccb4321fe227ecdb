// Answers of a daemon whose gatekeeper may not be ours any more.
#include "common/ask_daemon.hpp"

#include <csignal>
#include <string>
#include <utility>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

// Answers in a process of its own, which ends with this.
class Peer {
public:
    template <class Answer>
    explicit Peer(Answer answer) {
        int ends[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        child_ = fork();
        if (child_ == 0) {
            alarm(20);
            close(ends[0]);
            char question[64];
            if (read(ends[1], question, sizeof question) > 0) answer(ends[1]);
            _exit(0);
        }
        close(ends[1]);
        ours_.reset(ends[0]);
    }
    ~Peer() {
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    [[nodiscard]] Result<std::string> ask(Seconds patience = Seconds{10}) const {
        return oneknock::ask(ours_, "SOCKET", "status", patience);
    }

private:
    Descriptor ours_;
    pid_t child_ = -1;
};

Result<std::string> answer(const std::string& text) {
    return Peer([&](int fd) { static_cast<void>(write_all(fd, as_bytes(text))); }).ask();
}

bool has(const Error& error, const char* text) { return error.message.find(text) != std::string::npos; }

std::string nested(std::size_t times) { return std::string(times, '[') + std::string(times, ']'); }

}  // namespace

TEST_CASE("strings in the daemon's answer steer no terminal and begin no line") {
    CHECK(answer(R"({"a": ["\u001b[2J\n", "caf\u00e9", 1], "b": {"c": null}})").value() ==
          "{\"a\":[\"\\\\x1b[2J\\\\x0a\",\"caf\u00e9\",1],\"b\":{\"c\":null}}\n");
    CHECK(answer("{\"a\":\"\x7f\u009b\"}").value() == "{\"a\":\"\\\\x7f\\\\xc2\\\\x9b\"}\n");
    CHECK(answer("{\"a\":1,\"b\x7f\":2,\"c\\n\":{\"d\":3}}").value() == "{\"a\":1}\n");
}

TEST_CASE("an answer that is no JSON text, or nested for ever, is not passed on") {
    CHECK(answer("{\"a\":").error().code == ExitCode::data);
    CHECK(answer("\x1b[2J").error().message.find('\x1b') == std::string::npos);
    CHECK(has(answer("\x1b[2J").error(), "cannot be read"));
    CHECK(answer("{\"a\":1,\"b\":" + nested(1000000) + "}").value().size() < 100);
    CHECK(has(answer("").error(), "without an answer"));
}

TEST_CASE("an answer has a size and a time") {
    const std::string grant = R"({"client":")" + std::string(180, 'c') + "\"},";
    std::string many = "[";
    for (int i = 0; i < 65536; ++i) many += grant;
    CHECK(answer(many + "0]").has_value());
    CHECK(has(answer("\"" + std::string(largest_answer, 'a') + "\"").error(), "does not end its answer"));
    const Peer slow([](int fd) {
        while (write(fd, " ", 1) == 1) usleep(100'000);
    });
    const Instant before = read_clocks().steady;
    const auto late = slow.ask(Seconds{1});
    CHECK(has(late.error(), "did not answer within 1 second"));
    CHECK(read_clocks().steady - before < Seconds{5});
}

// The control socket, with peers of every manner.
#include "server/gatekeeper/control/control_socket.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

class Peers {
public:
    Peers() {
        const Descriptor listening(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        sockaddr_un any{};
        any.sun_family = AF_UNIX;
        REQUIRE(bind(listening.get(), reinterpret_cast<sockaddr*>(&any), sizeof any.sun_family) ==
                0);  // a name of the kernel's
        REQUIRE(listen(listening.get(), 16) == 0);
        length_ = sizeof name_;
        REQUIRE(getsockname(listening.get(), reinterpret_cast<sockaddr*>(&name_), &length_) == 0);
        socket_.emplace(Descriptor(dup(listening.get())));
    }

    [[nodiscard]] Descriptor peer(std::string_view says) const {
        Descriptor fd(socket(AF_UNIX, SOCK_STREAM, 0));
        REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&name_), length_) == 0);
        if (!says.empty()) REQUIRE(send(fd.get(), says.data(), says.size(), 0) == static_cast<ssize_t>(says.size()));
        return fd;
    }
    // One turn; false if the daemon would not have been woken.
    bool turn() {
        std::vector<pollfd> polled;
        socket_->add_to(polled);
        if (poll(polled.data(), polled.size(), 0) == 0) return false;
        serve();
        return true;
    }
    void serve() {
        socket_->serve(now, [this](auto connection, std::string_view line) { asked.emplace_back(connection, line); });
    }
    void answer_to(ControlSocket::Connection connection, const std::string& text) { socket_->answer(connection, text); }
    void give_until(ControlSocket::Connection connection, Instant deadline) {
        socket_->give_until(connection, deadline);
    }
    void answer(const std::string& text) { socket_->answer(asked.at(0).first, text); }
    [[nodiscard]] bool has_timer() const { return socket_->next_due().has_value(); }

    Instant now = Seconds{1000};
    std::vector<std::pair<ControlSocket::Connection, std::string>> asked;

private:
    sockaddr_un name_{};
    socklen_t length_ = 0;
    std::optional<ControlSocket> socket_;
};

std::string heard(const Descriptor& fd) {
    char buffer[100];
    const auto got = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : "";
}

}  // namespace

TEST_CASE("one that has asked and shut its writing side gets its answer, and wakes nobody meanwhile") {
    Peers peers;
    const Descriptor fd = peers.peer("reload\n");
    REQUIRE(shutdown(fd.get(), SHUT_WR) == 0);
    REQUIRE(peers.turn());
    REQUIRE(peers.asked.size() == 1);
    CHECK(peers.asked[0].second == "reload");
    CHECK_FALSE(peers.turn());
    peers.answer("done\n");
    REQUIRE(peers.turn());
    CHECK(heard(fd) == "done\n");
    CHECK_FALSE(peers.has_timer());
}

TEST_CASE("one that has asked and gone away is forgotten at once") {
    Peers peers;
    Descriptor fd = peers.peer("reload\n");
    REQUIRE(peers.turn());
    fd.reset();
    REQUIRE(peers.turn());
    CHECK_FALSE(peers.has_timer());
    CHECK_FALSE(peers.turn());
    peers.answer("done\n");
}

TEST_CASE("one that goes on talking after its question wakes nobody") {
    Peers peers;
    const Descriptor fd = peers.peer("status\nstatus\n");
    REQUIRE(peers.turn());
    REQUIRE(send(fd.get(), "status\n", 7, 0) == 7);
    CHECK_FALSE(peers.turn());
    CHECK(peers.asked.size() == 1);
}

TEST_CASE("one that asks nothing, or too much, is sent away") {
    Peers peers;
    const Descriptor silent = peers.peer("sta");
    const Descriptor endless = peers.peer(std::string(300, 'x'));
    Descriptor brief = peers.peer("");
    brief.reset();
    REQUIRE(peers.turn());
    CHECK(peers.has_timer());
    peers.now += Seconds{5};
    const Descriptor next = peers.peer("grants\n");
    REQUIRE(peers.turn());
    CHECK(peers.asked.size() == 1);
    peers.answer("none\n");
    REQUIRE(peers.turn());
    CHECK_FALSE(peers.has_timer());
}

TEST_CASE("who cannot be accepted for lack of descriptors waits, and wakes nobody meanwhile") {
    Peers peers;
    const Descriptor peer = peers.peer("status\n");
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit none{3, limit.rlim_max};  // as many as poll() is asked about, and all in use
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    const bool woken_once = peers.turn(), woken_again = peers.turn();
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(woken_once);
    CHECK_FALSE(woken_again);
    CHECK(peers.has_timer());
    peers.now += Seconds{1};
    peers.serve();
    CHECK(peers.asked.size() == 1);
    CHECK(peers.asked.front().second == "status");
}

TEST_CASE("peers that say nothing, and those that do not take their answers, keep nobody out") {
    Peers peers;
    std::vector<Descriptor> silent;
    for (int i = 0; i < 16; ++i) silent.push_back(peers.peer(i % 2 == 0 ? "" : "sta"));
    REQUIRE(peers.turn());
    for (int i = 0; i < 3; ++i) {
        peers.now += std::chrono::milliseconds{1};
        const Descriptor asker = peers.peer("status\n");
        REQUIRE(peers.turn());
        REQUIRE(peers.asked.size() == 1);
        peers.answer("fine\n");
        REQUIRE(peers.turn());
        CHECK(heard(asker) == "fine\n");
        peers.asked.clear();
    }
}

TEST_CASE("who waits for an answer is not pushed out by those who come later") {
    Peers peers;
    std::vector<Descriptor> waiting;
    for (int i = 0; i < 16; ++i) waiting.push_back(peers.peer("reload\n"));
    REQUIRE(peers.turn());
    REQUIRE(peers.asked.size() == 16);
    peers.now += std::chrono::milliseconds{1};
    const Descriptor late = peers.peer("status\n");
    CHECK_FALSE(peers.turn());
    for (const auto& [connection, line] : peers.asked) peers.answer_to(connection, "done\n");
    peers.serve();
    for (const Descriptor& fd : waiting) CHECK(heard(fd) == "done\n");
    CHECK(peers.asked.back().second == "status");
}

TEST_CASE("those whose answer takes its time keep nobody out, and get it") {
    Peers peers;
    std::vector<Descriptor> waiting;
    for (int i = 0; i < 32; ++i) {
        waiting.push_back(peers.peer("reload\n"));
        peers.now += std::chrono::milliseconds{1};
        REQUIRE(peers.turn());
        peers.give_until(peers.asked.back().first, peers.now + Seconds{60});
    }
    REQUIRE(peers.asked.size() == 32);
    std::vector<Descriptor> others;
    for (int i = 0; i < 16; ++i) others.push_back(peers.peer("status\n"));
    REQUIRE(peers.turn());
    CHECK(peers.asked.size() == 48);
    for (const auto& [connection, line] : peers.asked) peers.answer_to(connection, line + "\n");
    peers.serve();
    for (const Descriptor& fd : waiting) CHECK(heard(fd) == "reload\n");
    for (const Descriptor& fd : others) CHECK(heard(fd) == "status\n");
}

#include "client/commands/relay.hpp"

#include <array>
#include <cstring>
#include <future>
#include <string>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

struct Pair {
    Descriptor near;
    Descriptor far;
};

Pair socket_pair() {
    std::array<int, 2> fds{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    return {Descriptor(fds[0]), Descriptor(fds[1])};
}

Pair pipe_pair() {
    std::array<int, 2> fds{};
    REQUIRE(pipe2(fds.data(), O_CLOEXEC) == 0);
    return {Descriptor(fds[0]), Descriptor(fds[1])};  // read, write
}

std::string read_to_end(int fd) {
    std::string text;
    std::array<char, 4096> piece{};
    for (ssize_t got = 0; (got = read(fd, piece.data(), piece.size())) > 0;)
        text.append(piece.data(), static_cast<std::size_t>(got));
    return text;
}

void write_whole(int fd, const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto wrote = write(fd, &text[at], text.size() - at);
        if (wrote <= 0) return;
        at += static_cast<std::size_t>(wrote);
    }
}

std::string large_text(char salt) {
    std::string text(1'000'000, salt);
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(text[i] + static_cast<char>(i % 251));
    return text;
}

// A connection over the loopback interface; `near` is as the relay has it.
Pair tcp_pair() {
    const Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof address;
    REQUIRE(bind(listener.get(), any, length) == 0);
    REQUIRE(listen(listener.get(), 1) == 0);
    REQUIRE(getsockname(listener.get(), any, &length) == 0);
    Descriptor near(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(connect(near.get(), any, length) == 0);
    Descriptor far(accept(listener.get(), nullptr, nullptr));
    REQUIRE(far);
    fcntl(near.get(), F_SETFL, O_NONBLOCK);
    return {std::move(near), std::move(far)};
}

void reset(Descriptor& fd) {
    const linger now{1, 0};
    REQUIRE(setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    fd.reset();
}

// As `connect` runs it: beside the test, with a patience that tests have.
constexpr Instant patience = std::chrono::milliseconds{200};
std::future<Result<void>> start(int input, int output, int connection, Instant with = patience) {
    return std::async(std::launch::async, [=] { return relay(input, output, connection, with); });
}
Result<void> end_of(std::future<Result<void>>& running) {
    REQUIRE(running.wait_for(std::chrono::seconds{60}) == std::future_status::ready);
    return running.get();
}

void fill(int fd) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    const std::string piece(4096, 'x');
    while (write(fd, piece.data(), piece.size()) > 0) {}
    fcntl(fd, F_SETFL, 0);
}

}  // namespace

TEST_CASE("bytes go both ways unchanged, and each end is passed on by itself") {
    Pair input = pipe_pair(), output = pipe_pair(), connection = socket_pair();
    fcntl(connection.near.get(), F_SETFL, O_NONBLOCK);
    const std::string request = large_text('a'), answer = large_text('b');

    std::thread user([&] {
        write_whole(input.far.get(), request);
        input.far.reset();
    });
    std::string received;
    std::thread server([&] {
        received = read_to_end(connection.far.get());  // ends before the answer begins: a half-closed connection
        write_whole(connection.far.get(), answer);
        connection.far.reset();
    });
    std::string result;
    std::thread reader([&] { result = read_to_end(output.near.get()); });

    CHECK(relay(input.near.get(), output.far.release(), connection.near.get()));
    user.join();
    server.join();
    reader.join();
    CHECK(received == request);
    CHECK(result == answer);
}

TEST_CASE("large streams cross each other over one connection") {
    Pair input = pipe_pair(), output = pipe_pair(), connection = tcp_pair();
    auto running = start(input.near.get(), output.far.release(), connection.near.get());
    const std::string request = large_text('a') + large_text('c'), answer = large_text('b') + large_text('d');
    auto sent = std::async(std::launch::async, [&] {
        write_whole(input.far.get(), request);
        input.far.reset();
    });
    auto answered = std::async(std::launch::async, [&] {
        write_whole(connection.far.get(), answer);
        shutdown(connection.far.get(), SHUT_WR);
    });
    auto received = std::async(std::launch::async, [&] { return read_to_end(connection.far.get()); });
    CHECK(read_to_end(output.near.get()) == answer);
    CHECK(received.get() == request);
    CHECK(end_of(running));
}

TEST_CASE("the peer's end is delivered at once, and an input on which nothing comes holds nobody up") {
    Pair input = pipe_pair(), output = pipe_pair(), connection = tcp_pair();
    auto running = start(input.near.get(), output.far.release(), connection.near.get());
    write_whole(connection.far.get(), "bye\n");
    connection.far.reset();
    CHECK(read_to_end(output.near.get()) == "bye\n");
    CHECK(end_of(running));
}

TEST_CASE("what our input brings after the peer has ended is still sent") {
    Pair input = pipe_pair(), output = pipe_pair(), connection = tcp_pair();
    auto running = start(input.near.get(), output.far.release(), connection.near.get(), std::chrono::seconds{20});
    shutdown(connection.far.get(), SHUT_WR);
    CHECK(read_to_end(output.near.get()).empty());
    const std::string late = large_text('z') + large_text('y');
    auto received = std::async(std::launch::async, [&] { return read_to_end(connection.far.get()); });
    write_whole(input.far.get(), late);
    input.far.reset();
    CHECK(received.get() == late);
    CHECK(end_of(running));
}

TEST_CASE("bytes that wait for a slow peer or a slow reader are waited for") {
    Pair input = pipe_pair(), output = pipe_pair(), connection = tcp_pair();
    auto running = start(input.near.get(), output.far.release(), connection.near.get(), std::chrono::milliseconds{500});
    const std::string request(12'000'000, 'q'), answer(2'000'000, 'a');
    auto answered = std::async(std::launch::async, [&] {
        write_whole(connection.far.get(), answer);
        shutdown(connection.far.get(), SHUT_WR);
    });
    auto sent = std::async(std::launch::async, [&] {
        write_whole(input.far.get(), request);
        input.far.reset();
    });
    std::this_thread::sleep_for(std::chrono::milliseconds{700});  // both ways are full by now, and nothing moves
    CHECK(read_to_end(output.near.get()) == answer);
    std::this_thread::sleep_for(std::chrono::milliseconds{700});  // the peer has ended, and takes nothing
    CHECK(read_to_end(connection.far.get()) == request);
    CHECK(end_of(running));
}

TEST_CASE("a reset ends it at once with an error, and what had come before is delivered") {
    Pair input = pipe_pair(), output = pipe_pair(), connection = tcp_pair();
    write_whole(connection.far.get(), "too many attempts\n");
    pollfd arrived{connection.near.get(), POLLIN, 0};
    REQUIRE(poll(&arrived, 1, 10'000) == 1);
    reset(connection.far);
    auto running = start(input.near.get(), output.far.release(), connection.near.get(), std::chrono::hours{1});
    CHECK(read_to_end(output.near.get()) == "too many attempts\n");
    const auto ended = end_of(running);
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code == ExitCode::unavailable);
    CHECK(ended.error().message.find("Connection reset by peer") != std::string::npos);
}

TEST_CASE("a reset is noticed while nobody reads the output") {
    Pair input = pipe_pair(), output = pipe_pair(), connection = tcp_pair();
    fill(output.far.get());
    write_whole(connection.far.get(), large_text('a').substr(0, 1000));
    auto running = start(input.near.get(), output.far.release(), connection.near.get());
    std::this_thread::sleep_for(patience);
    CHECK(running.wait_for(std::chrono::seconds{0}) == std::future_status::timeout);
    reset(connection.far);
    CHECK(end_of(running).error().code == ExitCode::unavailable);
}

TEST_CASE("a peer that takes no more is an error, for our bytes are lost") {
    Pair input = pipe_pair(), output = pipe_pair(), connection = tcp_pair();
    auto running = start(input.near.get(), output.far.release(), connection.near.get(), std::chrono::hours{1});
    connection.far.reset();
    CHECK(read_to_end(output.near.get()).empty());
    for (int i = 0; i < 1000 && running.wait_for(std::chrono::milliseconds{10}) != std::future_status::ready; ++i)
        write_whole(input.far.get(), "more\n");
    CHECK(end_of(running).error().code == ExitCode::unavailable);
}

TEST_CASE("a socket that is both input and output is ended as a pipe is, though others have it open as well") {
    Pair user = socket_pair(), connection = tcp_pair();
    const Descriptor output(dup(user.near.get())), kept(dup(user.near.get()));
    auto running = start(user.near.get(), dup(output.get()), connection.near.get(), std::chrono::seconds{20});
    write_whole(user.far.get(), "hello\n");
    shutdown(user.far.get(), SHUT_WR);
    CHECK(read_to_end(connection.far.get()) == "hello\n");
    write_whole(connection.far.get(), "hello yourself\n");
    connection.far.reset();
    CHECK(read_to_end(user.far.get()) == "hello yourself\n");
    CHECK(end_of(running));
}

TEST_CASE("without a reader of the output the input is still sent, and lost bytes are an error") {
    const bool loses = GENERATE(false, true);
    Pair input = pipe_pair(), output = pipe_pair(), connection = tcp_pair();
    write_whole(input.far.get(), "last words\n");
    output.near.reset();
    if (loses) write_whole(connection.far.get(), "unheard\n");
    auto running = start(input.near.get(), output.far.release(), connection.near.get());
    std::array<char, 16> got{};
    REQUIRE(read(connection.far.get(), got.data(), got.size()) == 11);
    const auto ended = end_of(running);
    CHECK(ended.has_value() == !loses);
    if (loses) CHECK(ended.error().code == ExitCode::cannot_create);
}

TEST_CASE("a terminal takes what it can, and one that takes nothing more does not outlive the connection") {
    int master = -1, terminal = -1;
    REQUIRE(openpty(&master, &terminal, nullptr, nullptr, nullptr) == 0);
    const Descriptor screen(master), shell(terminal);
    termios raw{};
    tcgetattr(shell.get(), &raw);
    cfmakeraw(&raw);
    tcsetattr(shell.get(), TCSANOW, &raw);
    Pair connection = tcp_pair();
    auto running = start(shell.get(), dup(shell.get()), connection.near.get());
    write_whole(screen.get(), "typed");
    std::array<char, 16> got{};
    REQUIRE(read(connection.far.get(), got.data(), got.size()) == 5);
    write_whole(connection.far.get(), "shown");
    REQUIRE(read(screen.get(), got.data(), 5) == 5);
    CHECK(std::string(got.data(), 5) == "shown");
    auto flood =
        std::async(std::launch::async, [&] { write_whole(connection.far.get(), large_text('f').substr(0, 300'000)); });
    std::this_thread::sleep_for(patience);
    flood.get();
    reset(connection.far);
    CHECK(end_of(running).error().code == ExitCode::unavailable);
}

TEST_CASE("a passed descriptor leads to the same connection") {
    const Pair channel = socket_pair(), connection = socket_pair();
    REQUIRE(pass_descriptor(connection.near.get(), channel.near.get()));

    char byte = 'x';
    iovec content{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &content;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    REQUIRE(recvmsg(channel.far.get(), &message, MSG_CMSG_CLOEXEC) == 1);
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    REQUIRE(header != nullptr);
    REQUIRE(header->cmsg_type == SCM_RIGHTS);
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    const Descriptor passed(fd);
    REQUIRE(write(passed.get(), "!", 1) == 1);
    REQUIRE(read(connection.far.get(), &byte, 1) == 1);
    CHECK(byte == '!');
}

TEST_CASE("a descriptor cannot be passed over a pipe, and the error says what to do") {
    const Pair channel = pipe_pair(), connection = socket_pair();
    const auto result = pass_descriptor(connection.near.get(), channel.far.get());
    REQUIRE_FALSE(result);
    CHECK(result.error().message.find("ProxyUseFdpass") != std::string::npos);
}

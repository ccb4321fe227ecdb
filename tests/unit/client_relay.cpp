#include "client/commands/relay.hpp"

#include <array>
#include <cstring>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
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

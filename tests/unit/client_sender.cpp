#include "client/knock/sender.hpp"

#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <poll.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

Endpoint loopback(Family family) { return {*Address::parse(family == Family::ipv4 ? "127.0.0.1" : "::1"), 0}; }

struct Receiver {
    Descriptor fd;
    std::uint16_t port = 0;

    Receiver(Family family, int type) : fd(open_socket(family, type)) {
        const SocketAddress any(loopback(family), 0);
        REQUIRE(bind(fd.get(), any.get(), any.length) == 0);
        if (type == SOCK_STREAM) REQUIRE(listen(fd.get(), 16) == 0);
        port = local_port(fd.get());
    }

    // Where the next datagram, which must be empty, or connection comes from; 0 if none comes within a second.
    [[nodiscard]] std::uint16_t next_source(int type) const {
        pollfd state{fd.get(), POLLIN, 0};
        if (poll(&state, 1, 1000) != 1) return 0;
        SocketAddress from;
        from.length = sizeof from.storage;
        char byte = 0;
        if (type == SOCK_STREAM) {
            if (!Descriptor(accept(fd.get(), from.get(), &from.length))) return 0;
        } else if (recvfrom(fd.get(), &byte, 1, 0, from.get(), &from.length) != 0) {
            return 0;
        }
        sockaddr_in in{};
        std::memcpy(&in, &from.storage, sizeof in);
        return ntohs(in.sin_port);
    }
};

}  // namespace

TEST_CASE("all datagrams of a sender come from its one source port, and are empty") {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Receiver first(family, SOCK_DGRAM), second(family, SOCK_DGRAM);
        auto sender = open_udp_sender(loopback(family), loopback(family));
        REQUIRE(sender);
        const std::vector<std::uint16_t> ports{first.port, second.port, first.port};
        (*sender)->send(ports);
        const auto outcome = (*sender)->end_pass();
        CHECK(outcome.sent == 3);
        CHECK(first.next_source(SOCK_DGRAM) == (*sender)->source_port());
        CHECK(second.next_source(SOCK_DGRAM) == (*sender)->source_port());
        CHECK(first.next_source(SOCK_DGRAM) == (*sender)->source_port());
        CHECK((*sender)->end_pass().sent == 0);
    }
}

TEST_CASE("all connection attempts of a sender come from its one source port, in the next pass as well") {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Receiver first(family, SOCK_STREAM), second(family, SOCK_STREAM);
        const Receiver closed(family, SOCK_DGRAM);  // no TCP there: refused
        auto sender = open_tcp_sender(loopback(family), loopback(family));
        REQUIRE(sender);
        const std::vector<std::uint16_t> ports{first.port, closed.port, second.port};
        for (int pass = 0; pass < 3; ++pass) {
            (*sender)->send(ports);
            CHECK((*sender)->end_pass().sent == 3);
            CHECK(first.next_source(SOCK_STREAM) == (*sender)->source_port());
            CHECK(second.next_source(SOCK_STREAM) == (*sender)->source_port());
        }
    }
}

TEST_CASE("the next message's sender has another source port") {
    for (const Via via : {Via::udp, Via::tcp}) {
        const auto one = open_sender(via, loopback(Family::ipv4), loopback(Family::ipv4));
        const auto two = open_sender(via, loopback(Family::ipv4), loopback(Family::ipv4));
        REQUIRE(one);
        REQUIRE(two);
        CHECK((*one)->source_port() != 0);
        CHECK((*one)->source_port() != (*two)->source_port());
    }
}

TEST_CASE("a pass is judged by the packets that went out") {
    const Endpoint door = loopback(Family::ipv4);
    CHECK(check_pass({36, EPERM}, 36, door));
    const auto forbidden = check_pass({35, EPERM}, 36, door);
    REQUIRE_FALSE(forbidden);
    CHECK(forbidden.error().code == ExitCode::permission);
    CHECK(forbidden.error().message.find("a local firewall forbids it") != std::string::npos);
    const auto unreachable = check_pass({0, ENETUNREACH}, 36, door);
    REQUIRE_FALSE(unreachable);
    CHECK(unreachable.error().code == ExitCode::unavailable);
}

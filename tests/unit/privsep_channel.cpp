// The channel between two rooms: what is sent arrives, queues are bounded, and a hostile end cannot leave anything
// behind.
#include "server/privsep/channel.hpp"

#include <filesystem>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
}

// One datagram with as many descriptors as are given.
void send_with_many(int to, ByteSpan bytes, const std::vector<int>& descriptors) {
    iovec data{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
    REQUIRE(sendmsg(to, &message, 0) == static_cast<ssize_t>(bytes.size()));
}

}  // namespace

TEST_CASE("a datagram arrives as the struct that was sent, and as no other") {
    auto [near, far] = *Channel::make_pair();
    WordVerdict verdict;
    verdict.id = 7;
    verdict.verified = true;
    REQUIRE(near.send(verdict));
    Datagram datagram;
    REQUIRE(far.receive(datagram) == Channel::Received::datagram);
    REQUIRE(datagram.as<WordVerdict>());
    CHECK(datagram.as<WordVerdict>()->id == 7);
    CHECK_FALSE(datagram.as<ReportRequest>());
    CHECK_FALSE(datagram.as<Candidate>());
    CHECK(far.receive(datagram) == Channel::Received::nothing);
    near.close();
    CHECK(far.receive(datagram) == Channel::Received::closed);
}

TEST_CASE("what finds no room waits in a bounded queue and arrives in order") {
    auto [near, far] = *Channel::make_pair();
    Datagram datagram;
    RequestId sent = 0;
    for (ReportRequest request; near.send(request, 10);) request.id = ++sent;
    CHECK(near.wants_write());
    for (RequestId expected = 0; expected < sent; ++expected) {
        if (far.receive(datagram) == Channel::Received::nothing) {
            near.flush();
            REQUIRE(far.receive(datagram) == Channel::Received::datagram);
        }
        REQUIRE(datagram.as<ReportRequest>()->id == expected);
    }
    CHECK_FALSE(near.wants_write());
}

TEST_CASE("a descriptor travels with its datagram and is closed with the next one") {
    auto [near, far] = *Channel::make_pair();
    const Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    Datagram datagram;
    const auto before = open_descriptors();
    REQUIRE(near.try_send_with(datagram_of(PassedKeyFile{}), null.get()));
    REQUIRE(far.receive(datagram) == Channel::Received::datagram);
    CHECK(datagram.descriptor);
    CHECK(open_descriptors() == before + 1);
    REQUIRE(near.send(Ready{}));
    REQUIRE(far.receive(datagram) == Channel::Received::datagram);
    CHECK_FALSE(datagram.descriptor);
    CHECK(open_descriptors() == before);
}

TEST_CASE("a hostile sender's surplus descriptors are not taken in") {
    auto [near, far] = *Channel::make_pair();
    const Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const auto before = open_descriptors();
    Datagram datagram;
    for (const std::size_t count : {std::size_t{2}, std::size_t{3}, std::size_t{50}}) {
        send_with_many(near.descriptor(), datagram_of(Ready{}), std::vector<int>(count, null.get()));
        REQUIRE(far.receive(datagram) == Channel::Received::datagram);
        CHECK(datagram.as<Ready>());
        datagram.descriptor.reset();
        CHECK(open_descriptors() == before);
    }
}

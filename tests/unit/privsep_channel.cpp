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

// Whether it is taken for the struct with this byte somewhere in it, as only a process that was taken over sends it.
template <class T>
bool is_taken(const T& message, const void* where, std::uint8_t byte) {
    const auto offset = static_cast<const std::uint8_t*>(where) - reinterpret_cast<const std::uint8_t*>(&message);
    Datagram datagram;
    datagram.size = sizeof message;
    std::memcpy(datagram.bytes.data(), &message, sizeof message);
    datagram.bytes[static_cast<std::size_t>(offset)] = byte;
    return datagram.as<T>().has_value();
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

TEST_CASE("a truth value, a name, a count or an operation that cannot be is taken from nobody") {
    const WordVerdict verdict;
    const KeysAnswer answer;
    const KeyFilesEnd end;
    const TrialReply trial;
    const Settled settled;
    const PassedKeyFile file;
    for (const auto byte : std::vector<std::uint8_t>{0, 1, 2, 255}) {
        CAPTURE(byte);
        CHECK(is_taken(verdict, &verdict.verified, byte) == (byte < 2));
        CHECK(is_taken(answer, &answer.taken, byte) == (byte < 2));
        CHECK(is_taken(end, &end.asked, byte) == (byte < 2));
        CHECK(is_taken(trial, &trial.was_on_trial, byte) == (byte < 2));
        CHECK(is_taken(settled, &settled.lacks_services, byte) == (byte < 2));
        CHECK(is_taken(file, &file.is_door, byte) == (byte < 2));
    }
    CHECK(is_taken(file, &file.name[longest_file_name - 1], 'x'));
    CHECK_FALSE(is_taken(file, &file.name[longest_file_name], 'x'));  // without an end
    const MissingKeyFile missing;
    CHECK_FALSE(is_taken(missing, &missing.name[longest_file_name], 'x'));
    const UnopenedKeyFile unopened;
    CHECK_FALSE(is_taken(unopened, &unopened.name[longest_file_name], 'x'));
    CHECK(is_taken(unopened, &unopened.place, 2));
    CHECK_FALSE(is_taken(unopened, &unopened.place, 3));
    CHECK_FALSE(is_taken(unopened, reinterpret_cast<const char*>(&unopened.error) + 3, 0x80));  // negative
    const DoorSpan span;
    CHECK(is_taken(span, &span.count, PortSpan::most_ranges));
    CHECK_FALSE(is_taken(span, &span.count, PortSpan::most_ranges + 1));
    const DoorServices door;
    CHECK(is_taken(door, &door.count, most_services));
    CHECK_FALSE(is_taken(door, &door.count, most_services + 1));
    const GrantReply reply;
    CHECK_FALSE(is_taken(reply, reinterpret_cast<const char*>(&reply.error) + 3, 0x80));  // negative
}

TEST_CASE("an address or a family that cannot be is taken from nobody") {
    GrantRequest grant;
    grant.address = *Address::parse("192.0.2.7");
    for (const int operation : {0, 1, 2, 3})
        CHECK(is_taken(grant, &grant.operation, static_cast<std::uint8_t>(operation)) ==
              (operation == 1 || operation == 2));
    CHECK_FALSE(is_taken(grant, &grant.address.family, 5));
    CHECK_FALSE(is_taken(grant, &grant.address.bytes[4], 1));
    Candidate candidate;
    candidate.source = *Address::parse("192.0.2.7");
    CHECK(is_taken(candidate, &candidate.source.family, 4));
    CHECK_FALSE(is_taken(candidate, &candidate.source.family, 6));  // another than the message's
    CHECK_FALSE(is_taken(candidate, &candidate.source.bytes[4], 1));
    candidate.source.family = candidate.message.family = static_cast<Family>(5);
    CHECK_FALSE(is_taken(candidate, &candidate.source.family, 5));
    candidate = {};
    CHECK_FALSE(is_taken(candidate, reinterpret_cast<const char*>(&candidate.first_packet_ns) + 7, 0x80));
    const AdoptedGrant adopted;
    CHECK_FALSE(is_taken(adopted, &adopted.address.family, 5));
}

TEST_CASE("a secret is sent now or not at all, and waits in no queue") {
    auto [near, far] = *Channel::make_pair();
    int sent = 0;
    while (near.send_now(BookSeed{})) ++sent;
    CHECK(sent > 0);
    CHECK_FALSE(near.wants_write());
    Datagram datagram;
    while (far.receive(datagram) == Channel::Received::datagram) --sent;
    CHECK(sent == 0);
    CHECK(near.send_now(BookSeed{}));
}

// Which books the listener is told, with a channel whose other end is the test.
#include "server/gatekeeper/keys/book_schedule.hpp"

#include <sys/timerfd.h>

#include "server/gatekeeper/keys/book_validity.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr UnixTime noon{Seconds{1'800'001'800}};  // the middle of an hour
constexpr Seconds hour{3600};

struct Told {
    std::pair<Channel, Channel> channel = std::move(*Channel::make_pair());
    BookSchedule hours{channel.first, Descriptor(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC)),
                       Seconds{60}};
    Verifier verifier{keyring()};

    static Keyring keyring() {
        Keyring keyring;
        keyring.door.generations.push_back({1, Secret32::random(), noon - 100 * hour, std::nullopt});
        return keyring;
    }
    // The hours of the books told at this time, after noon's.
    std::vector<std::int64_t> at(UnixTime now) {
        hours.prepare(verifier, now);
        std::vector<std::int64_t> told;
        Datagram datagram;
        while (channel.second.receive(datagram) == Channel::Received::datagram)
            told.push_back(static_cast<std::int64_t>(datagram.as<BookSeed>().value().epoch - epoch_of(noon).value));
        return told;
    }
};

using Books = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("each hour's book is told once, ahead of its hour") {
    Told told;
    CHECK(told.at(noon) == Books{0});
    CHECK(told.at(noon + Seconds{1}).empty());
    CHECK(told.at(start_of(epoch_of(noon + hour)) - Seconds{90}) == Books{1});
    CHECK(told.at(noon + hour).empty());
    told.hours.resend(told.verifier.keyring().door);
    CHECK(told.at(noon + hour) == Books{1});
}

TEST_CASE("the books of a secret that the door has no more are ended") {
    Told told;
    CHECK(told.at(noon) == Books{0});
    Door door;
    door.generations.push_back({2, Secret32::random(), noon, std::nullopt});
    told.hours.resend(door);
    Datagram datagram;
    REQUIRE(told.channel.second.receive(datagram) == Channel::Received::datagram);
    const auto ended = datagram.as<BookSeed>();
    REQUIRE(ended);
    CHECK((ended->epoch == epoch_of(noon).value && ended->door_generation == 1 && ended->live_until == 0));
    CHECK(told.channel.second.receive(datagram) == Channel::Received::nothing);
}

TEST_CASE("books for which the channel has no room are told when it has, and so are their ends") {
    Told told;
    told.hours.prepare(told.verifier, noon - hour);
    CHECK_FALSE(told.hours.waits_for_room());
    while (told.channel.first.send(ReportRequest{}, 0)) {}
    told.hours.resend(Door{});
    told.hours.prepare(told.verifier, noon);
    CHECK(told.hours.waits_for_room());
    CHECK_FALSE(told.channel.first.wants_write());  // nothing of them is in a queue
    Datagram datagram;
    while (told.channel.second.receive(datagram) == Channel::Received::datagram) {}
    told.hours.prepare(told.verifier, noon);
    CHECK_FALSE(told.hours.waits_for_room());
    Books ended, live;
    while (told.channel.second.receive(datagram) == Channel::Received::datagram) {
        const auto seed = datagram.as<BookSeed>().value();
        (seed.live_until == 0 ? ended : live).push_back(static_cast<std::int64_t>(seed.epoch - epoch_of(noon).value));
    }
    CHECK(ended == Books{-1});
    CHECK(live == Books{0});
}

TEST_CASE("a clock that was elsewhere for a while, ahead or behind, has its present books told again") {
    for (const Seconds jump : {50'000 * hour, -50'000 * hour}) {
        Told told;
        CHECK(told.at(noon) == Books{0});
        for (int i = 1; i <= 5; ++i) CHECK(told.at(noon + i * jump).size() == 1);
        CHECK(told.at(noon) == Books{0});
        CHECK(told.at(noon + jump).size() == 1);
    }
}

#include "client/knock/port_watch.hpp"

#include <unistd.h>

#include "tests/catch.hpp"

using namespace oneknock;
using namespace std::chrono_literals;

namespace {

const Endpoint loopback{*Address::parse("127.0.0.1"), 0};

// A TCP port of our own: bound, and listening if asked.
struct Port {
    Descriptor fd = open_socket(Family::ipv4, SOCK_STREAM);
    std::uint16_t number = 0;

    explicit Port(bool listening) {
        const SocketAddress any(loopback, 0);
        REQUIRE(bind(fd.get(), any.get(), any.length) == 0);
        if (listening) REQUIRE(listen(fd.get(), 16) == 0);
        number = local_port(fd.get());
    }
};

PortWatch::Answer answer_within_a_second(PortWatch& watch) {
    for (int i = 0; i < 100; ++i) {
        std::vector<pollfd> polls;
        watch.collect(polls);
        poll(polls.data(), polls.size(), 10);
        if (const auto answer = watch.look(1s); answer != PortWatch::Answer::none) return answer;
    }
    return PortWatch::Answer::none;
}

}  // namespace

TEST_CASE("attempts follow closely at first and every 250 ms later") {
    AttemptSchedule schedule;
    CHECK(schedule.due() == never);
    schedule.restart(10s, 0ms);
    CHECK(schedule.due() == 10s);
    std::vector<Instant> steps;
    for (Instant now = 10s; now < 12s; now = schedule.due()) {
        schedule.tried(now);
        steps.push_back(schedule.due() - now);
        CHECK(steps.back() <= std::max<Instant>(1ms, (now - 10s) / 2));
    }
    CHECK(steps[0] == 1ms);
    CHECK(steps[1] == 1ms);
    CHECK(steps.back() == 250ms);
    CHECK(std::is_sorted(steps.begin(), steps.end()));
    CHECK(steps.size() < PortWatch::most_attempts / 2);
}

TEST_CASE("after a slow pass attempts are as slow as its packets") {
    AttemptSchedule schedule;
    schedule.restart(10s, 30ms);
    CHECK(schedule.due() == 10s);
    schedule.tried(10s);
    CHECK(schedule.due() == 10s + 30ms);
    schedule.tried(10s + 30ms);
    CHECK(schedule.due() == 10s + 60ms);
}

TEST_CASE("a port that listens is accepted, and the connection can be had") {
    const Port port(true);
    PortWatch watch(loopback, loopback, port.number);
    watch.attempt(1s);
    std::vector<pollfd> polls;
    watch.collect(polls);
    CHECK(polls.empty());  // nothing before the first pass
    watch.restart(1s, 0ms);
    watch.attempt(1s);
    CHECK(answer_within_a_second(watch) == PortWatch::Answer::accepted);
    const Descriptor connection = watch.take_connection();
    REQUIRE(connection);
    CHECK_FALSE(watch.take_connection());
    CHECK(local_port(connection.get()) != 0);
}

TEST_CASE("a service is visited only by the connection that is used") {
    const Port port(true);
    const auto is_visited = [&](int patience_ms) {
        pollfd visit{port.fd.get(), POLLIN, 0};
        if (poll(&visit, 1, patience_ms) != 1) return false;
        const Descriptor visitor(accept(port.fd.get(), nullptr, nullptr));
        return true;
    };
    const auto connection = [&] {
        PortWatch watch(loopback, loopback, port.number);
        watch.restart(1s, 0ms);
        watch.attempt(1s);
        REQUIRE(answer_within_a_second(watch) == PortWatch::Answer::accepted);
        return watch.take_connection();
    };
    bool unseen = false;  // a machine that stalls for 200 ms completes it after all
    for (int i = 0; i < 5 && !unseen; ++i) {
        connection();
        unseen = !is_visited(300);
    }
    CHECK(unseen);
    const Descriptor used = connection();
    use_connection(used.get());
    CHECK(is_visited(10'000));
}

TEST_CASE("a port that resets is refused") {
    const Port port(false);
    PortWatch watch(loopback, loopback, port.number);
    watch.restart(1s, 0ms);
    watch.attempt(1s);
    CHECK(answer_within_a_second(watch) == PortWatch::Answer::refused);
    CHECK_FALSE(watch.take_connection());
    CHECK(watch.sign() == PortWatch::Sign::reset);
}

TEST_CASE("only an attempt from before the knock tells what was before") {
    const Port open(true), closed(false);
    PortWatch after(loopback, loopback, open.number);
    after.restart(1s, 0ms);
    after.attempt(1s);
    CHECK(answer_within_a_second(after) == PortWatch::Answer::accepted);
    CHECK_FALSE(after.was_open_before());
    PortWatch before(loopback, loopback, open.number);
    before.attempt_before(1s);
    CHECK(answer_within_a_second(before) == PortWatch::Answer::accepted);
    CHECK(before.was_open_before());
    CHECK(before.has_connection());
    PortWatch refused(loopback, loopback, closed.number);
    refused.attempt_before(1s);
    CHECK(answer_within_a_second(refused) == PortWatch::Answer::refused);
    CHECK_FALSE(refused.was_open_before());
}

TEST_CASE("silence is a refusal once the patience is over") {
    // A full queue of a listener drops further SYNs.
    Descriptor silent = open_socket(Family::ipv4, SOCK_STREAM);
    const SocketAddress any(loopback, 0);
    REQUIRE(bind(silent.get(), any.get(), any.length) == 0);
    REQUIRE(listen(silent.get(), 0) == 0);
    const std::uint16_t number = local_port(silent.get());
    PortWatch filler(loopback, loopback, number);
    filler.restart(1s, 0ms);
    filler.attempt(1s);
    REQUIRE(answer_within_a_second(filler) == PortWatch::Answer::accepted);
    const Descriptor used = filler.take_connection();
    use_connection(used.get());

    PortWatch watch(loopback, loopback, number);
    watch.restart(1s, 0ms);
    watch.attempt(1s);
    CHECK(watch.look(1s) == PortWatch::Answer::none);
    CHECK(watch.look(1s + PortWatch::patience) == PortWatch::Answer::none);
    CHECK(watch.look(1s + PortWatch::patience + 1ns) == PortWatch::Answer::refused);
    CHECK(watch.sign() == PortWatch::Sign::silence);
}

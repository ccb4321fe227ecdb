// The sums of where a knock's time goes.
#include "server/gatekeeper/decide/knock_latency.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("the parts of a knock add up to its whole") {
    KnockLatency times;
    times.add({Instant{1000}, Instant{1100}, Instant{1120}, Instant{1500}, Instant{1507}});
    times.add({Instant{2000}, Instant{2010}, Instant{2011}, Instant{2012}, Instant{2020}});
    const std::uint64_t expected[] = {110, 21, 381, 15, 527};
    for (std::size_t i = 0; i < KnockLatency::part_count; ++i) {
        CHECK(times.part(i).count == 2);
        CHECK(times.part(i).nanoseconds == expected[i]);
    }
}

TEST_CASE("a first packet that cannot have been then is believed no further than the code goes") {
    for (const auto& [told, nanoseconds] :
         {std::pair<Instant, std::uint64_t>{Instant::max(), 0}, {Instant::min(), 5'000'000'000}}) {
        KnockLatency times;
        times.add({told, Seconds{100}, Seconds{100}, Seconds{100}, Seconds{100}});
        CHECK(times.part(0).nanoseconds == nanoseconds);
        CHECK(times.part(4).nanoseconds == nanoseconds);
    }
}

#include "common/token_bucket.hpp"

#include "tests/catch.hpp"

using namespace oneknock;
using std::chrono::milliseconds;

TEST_CASE("a bucket is full at first, refills at its rate, and never holds more than a burst") {
    constexpr Rate rate{10, 3};
    struct Step {
        milliseconds at;
        bool taken;
    };
    const Step steps[] = {
        {milliseconds{5000}, true},  {milliseconds{5000}, true},  {milliseconds{5000}, true},
        {milliseconds{5000}, false}, {milliseconds{5099}, false}, {milliseconds{5100}, true},
        {milliseconds{5100}, false}, {milliseconds{9000}, true},  {milliseconds{9000}, true},
        {milliseconds{9000}, true},  {milliseconds{9000}, false},
    };
    TokenBucket bucket;
    for (const auto& [at, taken] : steps) {
        CAPTURE(at.count());
        CHECK(bucket.try_take(rate, at) == taken);
    }
}

TEST_CASE("a bucket gains nothing from a time that goes back") {
    constexpr Rate rate{10, 1};
    TokenBucket bucket;
    CHECK(bucket.try_take(rate, Seconds{10}));
    CHECK_FALSE(bucket.try_take(rate, Seconds{1}));
    CHECK_FALSE(bucket.try_take(rate, Seconds{10}));
    CHECK(bucket.try_take(rate, milliseconds{10'100}));
}

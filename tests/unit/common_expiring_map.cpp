#include "common/expiring_map.hpp"

#include <string>
#include <vector>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

template <class Map>
std::vector<int> keys_of(const Map& map) {
    std::vector<int> keys;
    for (const auto& [key, entry] : map.all()) keys.push_back(key);
    return keys;
}

}  // namespace

TEST_CASE("an entry is there until its end, not at it, and goes when it is dropped") {
    ExpiringMap<int, 3> map;
    REQUIRE(map.put(3, Seconds{10}, {}));
    REQUIRE(map.put(1, Seconds{20}, {}));
    REQUIRE(map.put(2, Seconds{10}, {}));
    struct Row {
        Seconds now;
        std::vector<int> keys;
    };
    const Row rows[] = {
        {Seconds{9}, {1, 2, 3}}, {Seconds{10}, {1}}, {Seconds{10}, {1}}, {Seconds{19}, {1}}, {Seconds{20}, {}}};
    for (const auto& [now, keys] : rows) {
        CAPTURE(now.count());
        map.drop_ended(now);
        CHECK(keys_of(map) == keys);
        CHECK(map.end_of(3).has_value() == (now < Seconds{10}));
    }
}

TEST_CASE("putting an entry again replaces its value and its end, later or earlier") {
    ExpiringMap<int, 1, std::string> map;
    for (const Seconds end : {Seconds{10}, Seconds{20}, Seconds{5}}) {
        REQUIRE(map.put(1, end, {}, duration_text(end)));
        CHECK(map.end_of(1) == Instant{end});
        CHECK(map.all().at(1).value == duration_text(end));
    }
    map.drop_ended(Seconds{5});
    CHECK(map.all().empty());
}

TEST_CASE("a full map takes no new entry until one ends or goes, but renews those it has") {
    ExpiringMap<int, 2> map;
    REQUIRE(map.put(1, Seconds{10}, {}));
    REQUIRE(map.put(2, Seconds{20}, {}));
    CHECK_FALSE(map.put(3, Seconds{30}, Seconds{9}));
    CHECK(map.put(2, Seconds{30}, Seconds{9}));
    CHECK(keys_of(map) == std::vector{1, 2});
    CHECK(map.put(3, Seconds{30}, Seconds{10}));
    CHECK_FALSE(map.put(4, Seconds{40}, Seconds{10}));
    map.erase(2);
    map.erase(2);
    CHECK(map.put(4, Seconds{40}, Seconds{10}));
    CHECK(keys_of(map) == std::vector{3, 4});
    map.clear();
    map.drop_ended(Seconds{100});
    CHECK(map.put(5, Seconds{200}, Seconds{100}));
    CHECK(keys_of(map) == std::vector{5});
}

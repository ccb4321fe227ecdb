#include "server/listener/window_table.hpp"

#include <algorithm>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

// By one source or by many.
WindowKey key_of(std::uint32_t number, bool of_one_source) {
    if (of_one_source) return {Address::ipv4(7), static_cast<std::uint16_t>(number), 0, false};
    return {Address::ipv4(number), 0, 0, true};
}

// Inserts windows one after the other, and promotes them if they shall be full: those that are left, which must be the
// newest.
std::uint32_t left_of(std::uint32_t count, bool of_one_source, bool full) {
    WindowTable table;
    for (std::uint32_t i = 0; i < count; ++i) {
        const Index made = table.insert(key_of(i, of_one_source), Seconds{i});
        if (full) table.promote(made);
    }
    std::uint32_t first = 0;
    while (first < count && table.find(key_of(first, of_one_source)) == no_index) ++first;
    for (std::uint32_t i = first; i < count; ++i) REQUIRE(table.find(key_of(i, of_one_source)) != no_index);
    return count - first;
}

}  // namespace

TEST_CASE("windows stay within their caps, in all and of one source, and the oldest make room") {
    struct Row {
        bool of_one_source, full;
        std::uint32_t most;
    };
    for (const auto& [of_one_source, full, most] : {Row{false, false, most_small},
                                                    {false, true, most_full},
                                                    {true, false, most_small_per_source},
                                                    {true, true, most_full_per_source}}) {
        CAPTURE(of_one_source, full);
        CHECK(left_of(most, of_one_source, full) == most);
        CHECK(left_of(2 * most + 1, of_one_source, full) == most);
    }
}

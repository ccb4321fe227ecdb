#include "common/text.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("a list is joined with its separator between items, and nowhere else") {
    CHECK(join(std::vector<std::string>{}).empty());
    CHECK(join(std::vector<std::string>{"ssh"}) == "ssh");
    CHECK(join(std::vector<std::string>{"", "ssh", ""}) == ", ssh, ");
    CHECK(join(
              std::vector<int>{1, 22, 333}, [](int number) { return std::to_string(number); }, "-") == "1-22-333");
}

TEST_CASE("a table's columns are as wide as their widest cell, and its rows end without spaces") {
    CHECK(table({}).empty());
    CHECK(table({{"NAME", "PORT"}, {"s", "22"}, {"website", "443"}}) == "NAME     PORT\ns        22\nwebsite  443\n");
}

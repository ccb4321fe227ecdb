#include "server/firewall/table/compare.hpp"

#include <algorithm>

#include <linux/netfilter/nf_tables.h>

#include "server/firewall/table/element_key.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using std::chrono::milliseconds;

namespace {

const Service ssh{protocol_tcp, 22};
const GrantKey known{ssh, *Address::parse("10.9.9.9")};
const GrantKey other{ssh, *Address::parse("10.9.9.8")};
const GrantSets names{{1, "t"}, "granted4", "granted6"};

std::map<std::string, SetImage> with(std::vector<Element> elements) {
    return {{"granted4", {29453, 12, NFT_SET_TIMEOUT, 65536, std::move(elements)}},
            {"granted6", {33549, 24, NFT_SET_TIMEOUT, 65536, {}}}};
}

TableImage small_table() {
    TableImage table;
    table.sets = with({});
    table.sets["services"] = {781, 8, NFT_SET_CONSTANT, 0, {{{1}, {}}, {{2}, {}}}};
    table.chains["guard"] = {true, "filter", 0, -110, 1, {"first", "second"}};
    return table;
}

}  // namespace

TEST_CASE("the audit of elements finds what is lost and what is strange, by more than the slack") {
    struct Row {
        const char* what;
        std::vector<Element> found;
        bool lost, strange;
    };
    const ByteString key = element_key(known);
    const std::vector<Row> rows{
        {"as it should be", {{key, milliseconds{10'000}}}, false, false},
        {"a little early", {{key, milliseconds{9'500}}}, false, false},
        {"too early", {{key, milliseconds{9'499}}}, true, false},
        {"too late", {{key, milliseconds{10'501}}}, true, false},
        {"for ever", {{key, std::nullopt}}, true, true},
        {"missing", {}, true, false},
        {"one more", {{key, milliseconds{10'000}}, {element_key(other), milliseconds{501}}}, false, true},
        {"one about to end", {{key, milliseconds{10'000}}, {element_key(other), milliseconds{500}}}, false, false},
        {"a catch-all", {{key, milliseconds{10'000}}, {{}, milliseconds{10}}}, false, true},
    };
    GrantTable grants;
    REQUIRE(grants.put(known, Seconds{110}, Seconds{0}));
    for (const Row& row : rows) {
        CAPTURE(row.what);
        const ElementDiff audit = compare_elements(names, with(row.found), grants, Seconds{100});
        CHECK(audit.lost.size() == (row.lost ? 1 : 0));
        CHECK(audit.strange == row.strange);
        CHECK(audit.clean() == (!row.lost && !row.strange));
    }
    CHECK(compare_elements(names, with({}), grants, Seconds{110} - timer_slack).clean());  // not worth bringing back
    CHECK(compare_elements(names, {}, grants, Seconds{100}).lost.size() == 1);             // not even a set
}

TEST_CASE("every difference of structure counts, and the elements of timed sets do not") {
    const TableImage expected = small_table();
    CHECK(same_structure(expected, small_table()));
    const auto differs = [&](auto&& change) {
        TableImage found = small_table();
        change(found);
        return !same_structure(expected, found);
    };
    CHECK(differs([](TableImage& t) { t.flags = 1; }));
    CHECK(differs([](TableImage& t) { t.chains["guard"].rules.pop_back(); }));
    CHECK(differs([](TableImage& t) { std::swap(t.chains["guard"].rules[0], t.chains["guard"].rules[1]); }));
    CHECK(differs([](TableImage& t) { t.chains["guard"].priority = 0; }));
    CHECK(differs([](TableImage& t) { t.chains["guard"].policy = 0; }));
    CHECK(differs([](TableImage& t) { t.chains["guard"].base = false; }));
    CHECK(differs([](TableImage& t) { t.chains["more"] = {}; }));
    CHECK(differs([](TableImage& t) { t.sets.erase("granted6"); }));
    CHECK(differs([](TableImage& t) { t.sets["more"] = {}; }));
    CHECK(differs([](TableImage& t) { t.sets["granted4"].flags |= NFT_SET_INTERVAL; }));
    CHECK(differs([](TableImage& t) { t.sets["granted4"].size = 7; }));
    CHECK(differs([](TableImage& t) { t.sets["services"].elements.pop_back(); }));
    CHECK_FALSE(differs([](TableImage& t) { std::ranges::reverse(t.sets["services"].elements); }));
    CHECK_FALSE(differs([](TableImage& t) { t.sets["granted4"].elements.push_back({{1}, milliseconds{5}}); }));
}

TEST_CASE("only timed elements of configured services are grants") {
    const auto found = with({{element_key(known), milliseconds{1500}},
                             {element_key(other), std::nullopt},
                             {element_key({{protocol_tcp, 23}, other.address}), milliseconds{1500}},
                             {{1, 2, 3}, milliseconds{1500}}});
    const auto grants = grants_in(names, found, {ssh}, false);
    REQUIRE(grants.size() == 1);
    CHECK(grants.front().first == known);
    CHECK(grants.front().second == milliseconds{1500});
    CHECK(grants_in(names, {}, {ssh}, false).empty());
}

TEST_CASE("a set serves for grants if its key, its timeouts and its kind are right") {
    const SetImage good{29453, 12, NFT_SET_TIMEOUT, 0, {}};
    CHECK_FALSE(unfit_for_grants(Family::ipv4, good));
    CHECK_FALSE(unfit_for_grants(Family::ipv4, {29453, 12, NFT_SET_TIMEOUT | NFT_SET_EVAL, 0, {}}));
    CHECK(unfit_for_grants(Family::ipv6, good));
    CHECK(unfit_for_grants(Family::ipv4, {29453, 12, 0, 0, {}}));
    CHECK(unfit_for_grants(Family::ipv4, {7, 12, NFT_SET_TIMEOUT, 0, {}}));
    CHECK(unfit_for_grants(Family::ipv4, {29453, 24, NFT_SET_TIMEOUT, 0, {}}));
    CHECK(unfit_for_grants(Family::ipv4, {29453, 12, NFT_SET_TIMEOUT | NFT_SET_MAP, 0, {}}));
    CHECK(unfit_for_grants(Family::ipv4, {29453, 12, NFT_SET_TIMEOUT | NFT_SET_INTERVAL, 0, {}}));
}

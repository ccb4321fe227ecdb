// Who is a stranger, for how long, and how much room strangers get.
#include "server/listener/stranger_table.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const Address alice = *Address::parse("192.0.2.7");

StrangerTable::Pair pair(int number, Tick seen = 1000) { return {{static_cast<std::uint8_t>(number), 7}, 40000, seen}; }

std::uint64_t draw() { return std::uint64_t{random_below(0x7fffffff)} << 33 ^ random_below(0x7fffffff); }

}  // namespace

TEST_CASE("a source that says one thing too many gives back all it said, in order, and begins anew") {
    StrangerTable table;
    const std::uint64_t hash = 0x0123456789abcdef;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3; ++i) CHECK(table.add(alice, hash, 0, pair(i)).empty());
        CHECK(table.add(alice, hash, 0, pair(1)).empty());  // known
        const auto said = table.add(alice, hash, 0, pair(3));
        REQUIRE(said.size() == 4);
        for (int i = 0; i < 4; ++i) CHECK(said[static_cast<std::size_t>(i)].symbol == pair(i).symbol);
    }
}

TEST_CASE("the same symbol from another source port is another pair") {
    StrangerTable table;
    for (std::uint16_t port = 1; port <= 3; ++port) CHECK(table.add(alice, 5, 0, {{1, 1}, port, 9}).empty());
    CHECK(table.add(alice, 5, 0, {{1, 1}, 4, 9}).size() == 4);
}

TEST_CASE("what a stranger said counts for as long as a pair lives, and longer when it is said again") {
    const Tick life = pair_lifetime_ticks;
    for (const bool renewed : {false, true}) {
        StrangerTable table;
        for (int i = 0; i < 3; ++i) CHECK(table.add(alice, 5, 0, pair(i, 100)).empty());
        if (renewed)
            for (int i = 0; i < 3; ++i) CHECK(table.add(alice, 5, 0, pair(i, 100 + life)).empty());
        CHECK(table.add(alice, 5, 0, pair(9, 100 + life + 1)).empty() == !renewed);
    }
}

TEST_CASE("strangers do not hear each other, and the oldest makes room") {
    StrangerTable table;
    for (int i = 0; i < 1'000'000; ++i)
        if (!table.add(Address::ipv4(static_cast<std::uint32_t>(i)), draw(), 0, pair(i % 64)).empty())
            FAIL("a stranger was taken for another");
    for (int i = 0; i < 3; ++i) CHECK(table.add(alice, 5, 0, pair(i)).empty());
    CHECK(table.add(alice, 5, 0, pair(3)).size() == 4);
}

TEST_CASE("what a source says in several books at once does not make room for each other, whatever its hash") {
    for (const Address& source : {alice, *Address::parse("2001:db8::7")})
        for (int round = 0; round < 1000; ++round) {
            StrangerTable table;
            const std::uint64_t hash = draw();
            for (int i = 0; i <= 3; ++i)
                for (Books::Slot book = 0; book < most_books; ++book)
                    CHECK(table.add(source, hash, book, pair(i)).size() == (i < 3 ? 0 : 4));
        }
}

TEST_CASE("a network of 2^64 addresses gets no more than its share of room") {
    StrangerTable table;
    std::size_t kept = 0;
    const std::size_t others = 400;
    std::vector<std::uint64_t> hashes;
    for (std::size_t i = 0; i < others; ++i) {
        hashes.push_back(draw());
        const Address other = Address::ipv4(static_cast<std::uint32_t>(i));
        for (int p = 0; p < 3; ++p) (void)table.add(other, hashes[i], 0, pair(p));
    }
    Address flooder = *Address::parse("2001:db8::");
    for (int i = 0; i < 200'000; ++i) {
        fill_random(std::span(flooder.bytes).subspan(8));
        (void)table.add(flooder, draw(), 0, pair(i % 64));
    }
    for (std::size_t i = 0; i < others; ++i)
        if (!table.add(Address::ipv4(static_cast<std::uint32_t>(i)), hashes[i], 0, pair(3)).empty()) ++kept;
    CHECK(kept > others * 8 / 10);  // but for those in its sets, and those that met each other
}

TEST_CASE("a cleared table knows nobody") {
    StrangerTable table;
    for (int i = 0; i < 3; ++i) CHECK(table.add(alice, 5, 0, pair(i)).empty());
    table.clear();
    CHECK(table.add(alice, 5, 0, pair(3)).empty());
}

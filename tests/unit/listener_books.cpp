// Which codebooks are held, and which one makes room.
#include "server/listener/books.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr std::uint64_t hour = 500'000;

UnixTime middle_of(std::uint64_t epoch) {
    return UnixTime{epoch_length * static_cast<std::int64_t>(epoch) + Seconds{1800}};
}

Book book_of(std::uint64_t epoch, std::uint32_t generation = 1, const Secret32& seed = Secret32::random()) {
    const UnixTime middle = middle_of(epoch);
    return {Epoch{epoch}, generation, middle - Seconds{1860}, middle + Seconds{1860},
            Codebook::build(seed, *PortSpan::parse("1024-65535"))};
}

std::size_t ports_known(const Books& books, UnixTime now) {
    std::size_t known = 0;
    for (std::uint32_t port = 0; port < 65536; ++port)
        books.look_up(static_cast<std::uint16_t>(port), now, [&](Books::Slot, Symbol) { ++known; });
    return known;
}

}  // namespace

TEST_CASE("a book is looked up while it is live, and its neighbour beside it") {
    Books books;
    books.add(book_of(hour));
    books.add(book_of(hour + 1));
    const UnixTime edge = middle_of(hour) + Seconds{1800};
    CHECK(ports_known(books, middle_of(hour)) == symbol_count);
    CHECK(ports_known(books, edge - Seconds{61}) == symbol_count);
    CHECK(ports_known(books, edge - Seconds{60}) == 2 * symbol_count);
    CHECK(ports_known(books, edge + Seconds{60}) == 2 * symbol_count);
    CHECK(ports_known(books, edge + Seconds{61}) == symbol_count);
}

TEST_CASE("a book told again keeps its slot and its codes, unless they are others") {
    Books books;
    const Secret32 seed = Secret32::random();
    const auto slot = books.add(book_of(hour, 1, seed));
    REQUIRE(slot);
    CHECK_FALSE(books.add(book_of(hour, 1, seed)));
    CHECK(books.add(book_of(hour, 2)) != slot);
    Book other = book_of(hour);
    const std::uint16_t port = other.codes.port({5, 7});
    CHECK(books.add(std::move(other)) == slot);
    bool found = false;
    books.look_up(port, middle_of(hour), [&](Books::Slot at, Symbol symbol) {
        found = found || (at == slot && symbol == Symbol{5, 7});
    });
    CHECK(found);
}

TEST_CASE("a clock that was years ahead now and then leaves no book that keeps the present one out") {
    Books books;
    for (std::uint64_t jump = 1; jump <= 20; ++jump) {
        books.add(book_of(hour + 100'000 * jump));
        books.add(book_of(hour + 100'000 * jump + 1));
    }
    books.add(book_of(hour));
    books.add(book_of(hour + 1));
    CHECK(ports_known(books, middle_of(hour)) == symbol_count);
    CHECK(ports_known(books, middle_of(hour + 1)) == symbol_count);
}

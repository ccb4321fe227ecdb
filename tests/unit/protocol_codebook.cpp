#include "common/protocol/codebook.hpp"

#include <set>

#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("a codebook gives every symbol a port of its own inside the span, and no other port a symbol") {
    for (const char* text : {"1024-65535", "20000-36383", "1-65535,!22,!80-90"}) {
        const PortSpan span = PortSpan::parse(text).value();
        const Codebook book = Codebook::build(Secret32::random(), span);
        const auto ports = span.ports();
        const std::set<std::uint16_t> allowed(ports.begin(), ports.end());
        std::size_t with_symbol = 0;
        for (std::uint32_t port = 0; port < 65536; ++port)
            if (const auto symbol = book.symbol(static_cast<std::uint16_t>(port))) {
                ++with_symbol;
                REQUIRE(book.port(*symbol) == port);
                REQUIRE(allowed.contains(static_cast<std::uint16_t>(port)));
            }
        CHECK(with_symbol == symbol_count);
    }
}

TEST_CASE("codebooks of two seeds have little in common") {
    const PortSpan span;
    const Codebook a = Codebook::build(Secret32::random(), span), b = Codebook::build(Secret32::random(), span);
    int equal = 0;
    for (std::uint32_t port = 1024; port < 65536; ++port)
        equal += a.symbol(static_cast<std::uint16_t>(port)) &&
                 a.symbol(static_cast<std::uint16_t>(port)) == b.symbol(static_cast<std::uint16_t>(port));
    CHECK(equal < 20);  // 16384 * 16384 / 64512 shared ports, each equal once in 16384: about one in four runs has any
}

TEST_CASE("a word's ports are those of its symbols in the codebook") {
    for (int trial = 0; trial < 20; ++trial) {
        const Secret32 seed = Secret32::random();
        const PortSpan span = PortSpan::parse(trial % 2 == 0 ? "1024-65535" : "20000-36383").value();
        const Codebook book = Codebook::build(seed, span);
        Bytes<codeword_length> word{};
        fill_random(word);
        const auto ports = ports_of(word, seed, span);
        for (std::size_t p = 0; p < codeword_length; ++p)
            CHECK(ports[p] == book.port({static_cast<std::uint8_t>(p), word[p]}));
    }
}

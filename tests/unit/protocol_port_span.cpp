#include "common/protocol/port_span.hpp"

#include "common/protocol/constants.hpp"
#include "common/secret.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("spans are unions of ranges minus unions of excluded ranges, in any order") {
    struct Row {
        const char* text;
        std::size_t ports;
    };
    for (const auto& [text, ports] :
         {Row{"1024-65535", 64512}, Row{"20000-36383", 16384}, Row{"1-65535", 65535},
          Row{"1024-65535,!8000-8999", 63512}, Row{"!8000-8999,1024-65535", 63512},
          Row{"!8500-9500,1024-65535,!2049,!8000-8999", 63010}, Row{"30000-65535,1024-40000", 64512}}) {
        const auto span = PortSpan::parse(text);
        REQUIRE(span);
        const auto found = span->ports();
        CHECK(found.size() == ports);
        CHECK(span->text() == text);
        CHECK(std::is_sorted(found.begin(), found.end()));
    }
}

TEST_CASE("spans that are malformed or too small are refused") {
    for (const char* text :
         {"", ",", "1024", "20000-36382", "0-65535", "1024-65536", "65535-1024", "1024 - 65535", "1024-65535,", "a-b",
          "1024-65535,!", "1024-65535,8000-", "+1-65535", "!1-2", "1024--65535"})
        CHECK_FALSE(PortSpan::parse(text));
}

TEST_CASE("a span's ranges are ascending, apart, and hold its ports") {
    const auto span = PortSpan::parse("!8500-9500,1024-65535,!2049,!8000-8999").value();
    std::vector<std::uint16_t> ports;
    for (const auto& [low, high] : span.ranges())
        for (std::uint32_t port = low; port <= high; ++port) ports.push_back(static_cast<std::uint16_t>(port));
    CHECK(span.ranges().size() == 3);
    CHECK(ports == span.ports());
    const auto touching = PortSpan::parse("30001-65535,1024-30000,!65535,!1024-1024").value();
    REQUIRE(touching.ranges().size() == 1);
    CHECK(touching.ranges()[0].low == 1025);
    CHECK(touching.ranges()[0].high == 65534);
    std::string pieces = "1024-65535";
    for (int i = 0; i < 100; ++i) pieces += ",!" + std::to_string(2000 + 2 * i);
    CHECK_FALSE(PortSpan::parse(pieces));
}

TEST_CASE("a span is made again of its ranges, and of nothing that cannot be one's") {
    using Ranges = std::vector<PortSpan::Range>;
    const auto span = PortSpan::parse("1024-65535,!2049,!8000-9500").value();
    const auto again = PortSpan::from_ranges(span.ranges());
    REQUIRE(again);
    CHECK(again->ports() == span.ports());
    CHECK(PortSpan::parse(again->text())->ports() == span.ports());
    CHECK(PortSpan::from_ranges({{1, 1}, {3, 65535}}));
    CHECK_FALSE(PortSpan::from_ranges({}));
    for (const Ranges& ranges :
         {Ranges{{0, 65535}}, Ranges{{65535, 1024}}, Ranges{{20000, 36382}}, Ranges{{1024, 30000}, {30001, 65535}},
          Ranges{{1024, 30000}, {30000, 65535}}, Ranges{{30000, 65535}, {1024, 20000}}, Ranges{{1024, 65535}, {1, 2}}})
        CHECK_FALSE(PortSpan::from_ranges(ranges));
    Ranges pieces{{40000, 65535}};
    for (std::uint16_t port = 39998; pieces.size() <= PortSpan::most_ranges; port -= 2)
        pieces.insert(pieces.begin(), {port, port});
    CHECK_FALSE(PortSpan::from_ranges(pieces));
    pieces.erase(pieces.begin());
    CHECK(PortSpan::from_ranges(pieces));
}

TEST_CASE("a span has the ports that a list of all ports gives") {
    for (int trial = 0; trial < test::trials(300); ++trial) {
        std::vector<bool> wanted(65536);
        std::vector<std::pair<std::uint32_t, std::uint32_t>> holes;
        std::string text;
        for (std::uint32_t part = 0, parts = 1 + random_below(8); part < parts; ++part) {
            const std::uint32_t low = 1 + random_below(65535), high = low + random_below(65536 - low);
            const bool excluded = part > 0 && random_below(2) == 0;
            text += (part > 0 ? "," : "") + std::string(excluded ? "!" : "") + std::to_string(low) + "-" +
                    std::to_string(high);
            if (excluded) holes.emplace_back(low, high);
            else std::fill(wanted.begin() + low, wanted.begin() + high + 1, true);
        }
        for (const auto& [low, high] : holes) std::fill(wanted.begin() + low, wanted.begin() + high + 1, false);
        std::vector<std::uint16_t> ports;
        for (std::uint32_t port = 0; port < 65536; ++port)
            if (wanted[port]) ports.push_back(static_cast<std::uint16_t>(port));
        const auto span = PortSpan::parse(text);
        INFO(text);
        REQUIRE(span.has_value() == (ports.size() >= smallest_span));
        if (span) CHECK(span->ports() == ports);
    }
}

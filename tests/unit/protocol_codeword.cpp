// Property tests of the erasure code: any 64 - k missing, any (64 - k) / 2 wrong, and not one more.
#include "common/protocol/codeword.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "common/secret.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

constexpr int cases = test::trials(20'000);

Message random_message(Family family) {
    Message message{family, {}};
    fill_random(std::span(message.bytes).first(message.length()));
    return message;
}

std::vector<std::uint8_t> random_positions(std::size_t count) {
    std::vector<std::uint8_t> all(codeword_length);
    std::iota(all.begin(), all.end(), std::uint8_t{0});
    for (std::size_t i = 0; i < count; ++i)
        std::swap(all[i], all[i + random_below(static_cast<std::uint32_t>(codeword_length - i))]);
    all.resize(count);
    return all;
}

void spoil(Codeword& word, const std::vector<std::uint8_t>& positions, std::size_t from) {
    for (std::size_t i = from; i < positions.size(); ++i)
        word[positions[i]] ^= static_cast<std::uint8_t>(1 + random_below(255));
}

}  // namespace

TEST_CASE("the erasure library gives the known answer") { CHECK(codeword_self_test()); }

TEST_CASE("any 64 - k symbols may be missing, or half as many wrong, in every mixture") {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Code code(family);
        const std::size_t spare = codeword_length - code.k();
        for (int i = 0; i < cases; ++i) {
            const Message message = random_message(family);
            const Codeword word = code.encode(message);
            const std::size_t missing = random_below(static_cast<std::uint32_t>(spare + 1));
            const std::size_t wrong = (spare - missing) / 2;
            const auto positions = random_positions(missing + wrong);
            Codeword received = word;
            spoil(received, positions, 0);
            const auto decoded = code.decode(received, std::span(positions).first(missing));
            REQUIRE(decoded == word);
            REQUIRE(code.message_of(*decoded) == message);
        }
    }
}

TEST_CASE("one wrong symbol more than the bound never gives the message back") {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Code code(family);
        const std::size_t spare = codeword_length - code.k();
        for (int i = 0; i < cases; ++i) {
            const Codeword word = code.encode(random_message(family));
            const std::size_t missing = random_below(static_cast<std::uint32_t>(spare + 1));
            const auto positions = random_positions(missing + (spare - missing) / 2 + 1);
            Codeword received = word;
            spoil(received, positions, missing);
            const auto decoded = code.decode(received, std::span(positions).first(missing));
            REQUIRE(decoded != word);
            if (decoded) REQUIRE(code.encode(code.message_of(*decoded)) == *decoded);
        }
    }
}

TEST_CASE("more missing symbols than the code has to spare are refused") {
    const Code code(Family::ipv6);
    const auto positions = random_positions(17);
    CHECK_FALSE(code.decode(code.encode(random_message(Family::ipv6)), positions));
}

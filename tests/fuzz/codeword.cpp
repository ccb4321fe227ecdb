// The erasure code: what it corrects, and that whatever it finds is within its reach.
#include "common/protocol/codeword.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace oneknock::fuzz {
namespace {

struct Missing {
    std::array<std::uint8_t, codeword_length> positions{};
    std::size_t count = 0;

    [[nodiscard]] std::span<const std::uint8_t> span() const { return std::span(positions).first(count); }
    [[nodiscard]] bool holds(std::size_t position) const { return std::ranges::find(span(), position) != span().end(); }
};

Missing take_missing(Input& input) {
    Missing missing;
    std::uint64_t mask = input.u64();
    for (std::uint8_t i = 0; i < codeword_length; ++i, mask >>= 1)
        if ((mask & 1) != 0) missing.positions[missing.count++] = i;
    return missing;
}

// Positions that are there and differ.
std::size_t wrong(const Codeword& one, const Codeword& other, const Missing& missing) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < codeword_length; ++i)
        if (one[i] != other[i] && !missing.holds(i)) ++count;
    return count;
}

void decode(const Code& code, const Codeword& word, const Missing& missing, const Codeword* original) {
    const std::size_t reach = codeword_length - code.k();
    const auto found = code.decode(word, missing.span());
    if (original != nullptr && 2 * wrong(word, *original, missing) + missing.count <= reach) HOLDS(found == *original);
    if (!found) return;
    HOLDS(code.encode(code.message_of(*found)) == *found);
    HOLDS(2 * wrong(word, *found, missing) + missing.count <= reach);
}

}  // namespace

void one_input(Input input) {
    static const Code ipv4(Family::ipv4), ipv6(Family::ipv6);
    const std::uint8_t choice = input.u8();
    const Code& code = (choice & 1) != 0 ? ipv6 : ipv4;
    const Missing missing = take_missing(input);
    if ((choice & 2) != 0) {
        Codeword word{};
        input.fill(word);
        return decode(code, word, missing, nullptr);
    }
    Message message{code.family(), {}};
    input.fill(std::span(message.bytes).first(code.k()));
    const Codeword original = code.encode(message);
    HOLDS(code.message_of(original) == message);
    Codeword word = original;
    for (const std::uint8_t position : missing.span()) word[position] = input.u8();
    while (!input.empty()) word[input.u8() % codeword_length] ^= input.u8();
    decode(code, word, missing, &original);
}

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (std::uint8_t choice = 0; choice < 4; ++choice)
        for (const int gap : {0x00, 0x01, 0x55, 0x11, 0xff}) {
            Bytes seed{choice};
            seed.resize(9, static_cast<std::uint8_t>(gap));
            for (std::uint8_t i = 0; i < longest_message + 20; ++i) seed.push_back(static_cast<std::uint8_t>(i * 7));
            all.push_back(seed);
        }
    return all;
}

}  // namespace oneknock::fuzz

#include "common/protocol/codeword.hpp"

#include <algorithm>
#include <string_view>

extern "C" {
#include <fec.h>
}

#include "common/startup.hpp"

namespace oneknock {
namespace {

constexpr int symbol_bits = 8;
constexpr int field_polynomial = 0x11d;
constexpr int first_root = 0;
constexpr int primitive_element = 1;
constexpr int shortened_by = 255 - static_cast<int>(codeword_length);

}  // namespace

void Code::Free::operator()(void* handle) const { free_rs_char(handle); }

Code::Code(Family family)
    : family_(family),
      handle_(init_rs_char(symbol_bits, field_polynomial, first_root, primitive_element,
                           static_cast<int>(codeword_length - message_length(family)), shortened_by)) {
    if (handle_ == nullptr) end_for_lack_of_memory();  // the parameters are constants: only memory can be lacking
}

Codeword Code::encode_bytes(const std::uint8_t* message) const {
    Codeword word{};
    std::copy_n(message, k(), word.begin());
    encode_rs_char(handle_.get(), word.data(), word.data() + k());
    return word;
}

Codeword Code::encode(const Message& message) const { return encode_bytes(message.bytes.data()); }

std::optional<Codeword> Code::decode(const Codeword& word, std::span<const std::uint8_t> missing) const {
    if (missing.size() > codeword_length - k()) return std::nullopt;
    // libfec writes up to 64 - k positions of corrected bytes into this array, even when it was given none.
    std::array<int, codeword_length> positions{};
    std::ranges::copy(missing, positions.begin());
    Codeword corrected = word;
    for (const std::uint8_t position : missing) corrected[position] = 0;
    if (decode_rs_char(handle_.get(), corrected.data(), positions.data(), static_cast<int>(missing.size())) < 0)
        return std::nullopt;
    if (encode_bytes(corrected.data()) != corrected) return std::nullopt;
    // Beyond the bound libfec may still guess right; a guess is not an answer.
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < codeword_length; ++i)
        if (corrected[i] != word[i] && std::ranges::find(missing, i) == missing.end()) ++wrong;
    if (2 * wrong + missing.size() > codeword_length - k()) return std::nullopt;
    return corrected;
}

Message Code::message_of(const Codeword& word) const {
    Message message{family_, {}};
    std::copy_n(word.begin(), k(), message.bytes.begin());
    return message;
}

bool codeword_self_test() {
    // The codeword of the message 0, 1, 2, ... as computed by an implementation of the same code in another language.
    static constexpr std::string_view known[] = {
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
        "ebf9707483b3dd74f453751e6251cfec7ecc31478b95b3c4244366ff",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
        "22d026c583b9a246cd73e073367c5af2"};
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const Code code(family);
        Message message{family, {}};
        for (std::size_t i = 0; i < code.k(); ++i) message.bytes[i] = static_cast<std::uint8_t>(i);
        Codeword expected;
        if (!from_hex(known[family == Family::ipv4 ? 0 : 1], expected) || code.encode(message) != expected)
            return false;
        Codeword damaged = expected;
        damaged[0] ^= 1;
        constexpr std::uint8_t missing[] = {5, 63};
        if (code.decode(damaged, missing) != expected) return false;
    }
    return true;
}

}  // namespace oneknock

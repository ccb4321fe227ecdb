#include "keys/spelled_words.hpp"

namespace oneknock {
namespace {

constexpr std::string_view consonants = "bdfghjklmnprstvz";
constexpr std::string_view vowels = "aeiou";
static_assert(spelled_words == consonants.size() * vowels.size() * consonants.size() * vowels.size());

constexpr std::size_t words_of_digest = 7;
constexpr std::size_t bytes_of_word = 4;  // 32 bits for 12.6: the first word is likelier than the last by a millionth
static_assert(words_of_digest * bytes_of_word <= sizeof(Bytes<32>));

// The letters alone, in lower case.
std::string letters_of(std::string_view text) {
    std::string letters;
    for (const char c : text) {
        if (c >= 'a' && c <= 'z') letters += c;
        if (c >= 'A' && c <= 'Z') letters += static_cast<char>(c - 'A' + 'a');
    }
    return letters;
}

}  // namespace

void spell(std::uint32_t number, std::span<std::uint8_t, spelled_length> word) {
    for (std::size_t left = spelled_length; left > 0; --left) {
        const std::string_view letters = left % 2 == 0 ? vowels : consonants;
        word[left - 1] = static_cast<std::uint8_t>(letters[number % letters.size()]);
        number /= static_cast<std::uint32_t>(letters.size());
    }
}

std::string digest_words(const Bytes<32>& digest) {
    std::string text;
    for (std::size_t i = 0; i < words_of_digest; ++i) {
        Bytes<spelled_length> word{};
        spell(load_u32be(digest.data() + i * bytes_of_word) % spelled_words, word);
        text += (i == 0 ? "" : " ") + std::string(word.begin(), word.end());
    }
    return text;
}

bool are_same_words(std::string_view one, std::string_view other) { return letters_of(one) == letters_of(other); }

}  // namespace oneknock

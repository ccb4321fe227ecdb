// Words that can be read out and typed, such as "bako": 6,400 of them, made of consonants and vowels in turn.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/bytes.hpp"

namespace oneknock {

inline constexpr std::size_t spelled_length = 4;
inline constexpr std::uint32_t spelled_words = 16 * 5 * 16 * 5;

// Every number below `spelled_words` has a word of its own.
void spell(std::uint32_t number, std::span<std::uint8_t, spelled_length> word);

// Seven words for a digest: 88 of its bits. A way of showing it, not of keeping it secret.
[[nodiscard]] std::string digest_words(const Bytes<32>& digest);

// Whether both are the same words, however they are set apart, and in capitals or not.
[[nodiscard]] bool are_same_words(std::string_view one, std::string_view other);

}  // namespace oneknock

// What the fuzz targets share. Each target is a file beside this one that defines one_input() and seeds(); fuzz.cpp
// makes of it a libFuzzer target, or a program that replays the corpus.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"

namespace oneknock::fuzz {

using Bytes = std::vector<std::uint8_t>;

// Eats numbers and bytes from what the fuzzer made up; behind its end everything is zero.
class Input {
public:
    explicit Input(ByteSpan bytes) : rest_(bytes) {}

    [[nodiscard]] bool empty() const { return rest_.empty(); }
    [[nodiscard]] ByteSpan rest() const { return rest_; }
    [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(rest_.data()), rest_.size()}; }

    ByteSpan take(std::size_t size) {
        const ByteSpan taken = rest_.first(std::min(size, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    std::uint8_t u8() { return empty() ? std::uint8_t{0} : take(1)[0]; }
    std::uint16_t u16() {
        const unsigned high = u8();
        return static_cast<std::uint16_t>(high << 8 | u8());
    }
    std::uint32_t u32() {
        const std::uint32_t high = u16();
        return high << 16 | u16();
    }
    std::uint64_t u64() {
        const std::uint64_t high = u32();
        return high << 32 | u32();
    }
    bool flag() { return (u8() & 1) != 0; }
    void fill(std::span<std::uint8_t> bytes) { std::ranges::copy(take(bytes.size()), bytes.begin()); }

private:
    ByteSpan rest_;
};

// One run of the target; whatever it promises it checks with HOLDS.
void one_input(Input input);

// Real data to begin with.
[[nodiscard]] std::vector<Bytes> seeds();

[[nodiscard]] inline Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

inline void append(Bytes& to, ByteSpan bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

[[noreturn]] void broken(const char* promise, const char* file, int line);

}  // namespace oneknock::fuzz

#define HOLDS(promise) ((promise) ? static_cast<void>(0) : ::oneknock::fuzz::broken(#promise, __FILE__, __LINE__))

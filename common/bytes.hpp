// Byte strings and big-endian integers, the only integer order on the wire.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace oneknock {

template <std::size_t N>
using Bytes = std::array<std::uint8_t, N>;
using ByteSpan = std::span<const std::uint8_t>;

[[nodiscard]] inline ByteSpan as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

constexpr std::uint16_t load_u16be(const std::uint8_t* p) { return static_cast<std::uint16_t>(p[0] << 8 | p[1]); }

constexpr std::uint32_t load_u32be(const std::uint8_t* p) {
    return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | std::uint32_t{p[3]};
}

constexpr std::uint64_t load_u64be(const std::uint8_t* p) {
    return std::uint64_t{load_u32be(p)} << 32 | load_u32be(p + 4);
}

constexpr void store_u16be(std::uint8_t* p, std::uint16_t v) {
    p[0] = static_cast<std::uint8_t>(v >> 8);
    p[1] = static_cast<std::uint8_t>(v);
}

constexpr void store_u32be(std::uint8_t* p, std::uint32_t v) {
    store_u16be(p, static_cast<std::uint16_t>(v >> 16));
    store_u16be(p + 2, static_cast<std::uint16_t>(v));
}

constexpr void store_u64be(std::uint8_t* p, std::uint64_t v) {
    store_u32be(p, static_cast<std::uint32_t>(v >> 32));
    store_u32be(p + 4, static_cast<std::uint32_t>(v));
}

[[nodiscard]] std::string to_hex(ByteSpan bytes);

// False unless `text` is exactly 2 * to.size() hexadecimal digits.
[[nodiscard]] bool from_hex(std::string_view text, std::span<std::uint8_t> to);

}  // namespace oneknock

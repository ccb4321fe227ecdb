// A block of the replay record's files: 120 bytes of fields in a fixed order, and a keyed checksum of 8 bytes
// (SipHash-2-4) over them and the block's place. It finds damage; it is no protection against whoever can write there.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <sodium.h>

#include "common/bytes.hpp"
#include "common/clock.hpp"

namespace oneknock {

class Block {
public:
    static constexpr std::size_t size = 128;
    // Places of blocks that are no entries.
    static constexpr std::uint64_t header = ~std::uint64_t{0};
    static constexpr std::uint64_t mark = header - 1;

    Block& put_bytes(ByteSpan bytes) {
        std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(at_));
        at_ += bytes.size();
        return *this;
    }
    Block& put_u8(std::uint8_t value) { return put_bytes({&value, 1}); }
    Block& put_u16(std::uint16_t value) {
        Bytes<2> bytes;
        store_u16be(bytes.data(), value);
        return put_bytes(bytes);
    }
    Block& put_u64(std::uint64_t value) {
        Bytes<8> bytes;
        store_u64be(bytes.data(), value);
        return put_bytes(bytes);
    }
    Block& put_time(UnixTime time) { return put_u64(static_cast<std::uint64_t>(time.time_since_epoch().count())); }
    // Of at most `room` bytes; the rest is zero.
    Block& put_text(std::string_view text, std::size_t room) {
        put_bytes(as_bytes(text));
        at_ += room - text.size();
        return *this;
    }
    void seal(const Bytes<16>& key, std::uint64_t place) { store_u64be(bytes_.data() + content, sum(key, place)); }

    // For reading, from the beginning on.
    [[nodiscard]] static std::optional<Block> unchecked(ByteSpan bytes) {
        if (bytes.size() < size) return std::nullopt;
        Block block;
        std::copy_n(bytes.begin(), size, block.bytes_.begin());
        return block;
    }
    [[nodiscard]] static std::optional<Block> checked(ByteSpan bytes, const Bytes<16>& key, std::uint64_t place) {
        auto block = unchecked(bytes);
        if (!block || load_u64be(block->bytes_.data() + content) != block->sum(key, place)) return std::nullopt;
        return block;
    }
    template <std::size_t count>
    [[nodiscard]] Bytes<count> bytes() {
        Bytes<count> result;
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), count, result.begin());
        at_ += count;
        return result;
    }
    [[nodiscard]] std::uint8_t u8() { return bytes_[at_++]; }
    [[nodiscard]] std::uint16_t u16() { return load_u16be(bytes<2>().data()); }
    [[nodiscard]] std::uint64_t u64() { return load_u64be(bytes<8>().data()); }
    [[nodiscard]] UnixTime time() { return UnixTime{Seconds{static_cast<std::int64_t>(u64())}}; }
    [[nodiscard]] std::string text(std::size_t room) {
        const auto* begin = reinterpret_cast<const char*>(bytes_.data() + at_);
        at_ += room;
        return {begin, strnlen(begin, room)};
    }

    [[nodiscard]] ByteSpan span() const { return bytes_; }

private:
    static constexpr std::size_t content = 120;

    [[nodiscard]] std::uint64_t sum(const Bytes<16>& key, std::uint64_t place) const {
        Bytes<content + 8> covered;
        std::copy_n(bytes_.begin(), content, covered.begin());
        store_u64be(covered.data() + content, place);
        Bytes<8> hash;
        static_assert(crypto_shorthash_BYTES == 8 && crypto_shorthash_KEYBYTES == 16);
        crypto_shorthash(hash.data(), covered.data(), covered.size(), key.data());
        return load_u64be(hash.data());
    }

    Bytes<size> bytes_{};
    std::size_t at_ = 0;
};

}  // namespace oneknock

#include "common/protocol/codebook.hpp"

#include <utility>
#include <vector>

#include <sodium.h>

namespace oneknock {
namespace {

// The key stream as little-endian words: ChaCha20 (RFC 8439), the nonce and counter that libsodium's
// randombytes_buf_deterministic uses, taken in pieces because how much is needed depends on what is drawn.
class WordStream {
public:
    explicit WordStream(const Secret32& seed) : seed_(seed) {}
    ~WordStream() { wipe(buffer_.data(), buffer_.size()); }
    WordStream(const WordStream&) = delete;
    WordStream& operator=(const WordStream&) = delete;

    // Uniform in 0..m-1, by rejection.
    std::uint32_t uniform(std::uint32_t m) {
        for (;;) {
            const std::uint32_t word = next();
            // What is below 2^32 mod m is rejected; few words are below m at all, and so a division is saved.
            if (word >= m || word >= (0U - m) % m) return word % m;
        }
    }

private:
    static constexpr std::size_t block = 64;  // bytes a counter step yields

    std::uint32_t next() {
        if (used_ == buffer_.size()) refill();
        const auto* p = buffer_.data() + std::exchange(used_, used_ + 4);
        return std::uint32_t{p[0]} | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
    }

    void refill() {
        static constexpr Bytes<crypto_stream_chacha20_ietf_NONCEBYTES> nonce{'L', 'i', 'b', 's', 'o', 'd',
                                                                             'i', 'u', 'm', 'D', 'R', 'G'};
        buffer_.fill(0);
        crypto_stream_chacha20_ietf_xor_ic(buffer_.data(), buffer_.data(), buffer_.size(), nonce.data(), counter_,
                                           seed_.data());
        counter_ += static_cast<std::uint32_t>(buffer_.size() / block);
        used_ = 0;
    }

    const Secret32& seed_;
    Bytes<64 * block> buffer_{};
    std::size_t used_ = buffer_.size();
    std::uint32_t counter_ = 0;
};

std::uint32_t size_of(const PortSpan& span) {
    std::uint32_t count = 0;
    for (const auto& [low, high] : span.ranges()) count += high - low + 1U;
    return count;
}

// span.ports()[place]
std::uint16_t port_at(const PortSpan& span, std::uint32_t place) {
    for (const auto& [low, high] : span.ranges()) {
        const std::uint32_t count = high - low + 1U;
        if (place < count) return static_cast<std::uint16_t>(low + place);
        place -= count;
    }
    return 0;
}

// Which place of the shuffle is exchanged with which, for every symbol in turn.
template <class Take>
void draw_exchanges(const Secret32& seed, std::uint32_t places, Take take) {
    WordStream words(seed);
    for (std::uint32_t i = 0; i < symbol_count; ++i) take(i, i + words.uniform(places - i));
}

// Some places of the shuffle, each followed from where it ends to where it began, exchange by exchange.
class Places {
public:
    ~Places() { wipe(this, sizeof *this); }
    Places() = default;
    Places(const Places&) = delete;
    Places& operator=(const Places&) = delete;

    void follow(std::size_t which, std::uint32_t place) {
        places_[which] = place;
        is_followed_[which] = true;
        occupied_[place / 64] |= bit(place);
    }
    // What came to `to` was at `from`, which nothing that is followed can be at: later exchanges leave it alone.
    void undo(std::uint32_t from, std::uint32_t to) {
        if ((occupied_[to / 64] & bit(to)) == 0) return;
        occupied_[to / 64] ^= bit(to);
        occupied_[from / 64] |= bit(from);
        for (std::size_t i = 0; i < places_.size(); ++i)
            if (is_followed_[i] && places_[i] == to) places_[i] = from;
    }
    [[nodiscard]] std::uint32_t of(std::size_t which) const { return places_[which]; }

private:
    static std::uint64_t bit(std::uint32_t place) { return std::uint64_t{1} << place % 64; }

    std::array<std::uint32_t, codeword_length> places_{};
    std::array<bool, codeword_length> is_followed_{};
    std::array<std::uint64_t, 65536 / 64> occupied_{};
};

}  // namespace

Codebook Codebook::build(const Secret32& seed, const PortSpan& span) {
    Codebook book;
    std::vector<std::uint16_t> ports = span.ports();
    draw_exchanges(seed, size_of(span), [&](std::uint32_t i, std::uint32_t with) {
        std::swap(ports[i], ports[with]);
        book.tables_->port[i] = ports[i];
        book.tables_->symbol[ports[i]] = static_cast<std::uint16_t>(i);
    });
    wipe(ports.data(), ports.size() * sizeof ports[0]);
    return book;
}

std::array<std::uint16_t, codeword_length> ports_of(std::span<const std::uint8_t, codeword_length> word,
                                                    const Secret32& seed, const PortSpan& span) {
    std::array<std::uint16_t, symbol_count> exchanged;
    draw_exchanges(seed, size_of(span),
                   [&](std::uint32_t i, std::uint32_t with) { exchanged[i] = static_cast<std::uint16_t>(with); });
    Places places;
    for (std::uint32_t i = symbol_count; i-- > 0;) {
        const std::uint32_t position = i >> 8;
        places.undo(i, exchanged[i]);
        if (word[position] == (i & 0xff)) places.follow(position, exchanged[i]);
    }
    wipe(exchanged.data(), sizeof exchanged);
    std::array<std::uint16_t, codeword_length> ports{};
    for (std::size_t position = 0; position < ports.size(); ++position)
        ports[position] = port_at(span, places.of(position));
    return ports;
}

}  // namespace oneknock

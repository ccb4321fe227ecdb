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
        const std::uint32_t reject_below = (0U - m) % m;  // 2^32 mod m
        for (;;) {
            const std::uint32_t word = next();
            if (word >= reject_below) return word % m;
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

// Calls take(index, port) for every symbol in turn.
template <class Take>
void shuffle(const Secret32& seed, const PortSpan& span, Take take) {
    std::vector<std::uint16_t> ports = span.ports();
    const auto n = static_cast<std::uint32_t>(ports.size());
    WordStream words(seed);
    for (std::uint32_t i = 0; i < symbol_count; ++i) {
        std::swap(ports[i], ports[i + words.uniform(n - i)]);
        take(i, ports[i]);
    }
    wipe(ports.data(), ports.size() * sizeof ports[0]);
}

}  // namespace

Codebook Codebook::build(const Secret32& seed, const PortSpan& span) {
    Codebook book;
    shuffle(seed, span, [&](std::uint32_t i, std::uint16_t port) {
        book.tables_->port[i] = port;
        book.tables_->symbol[port] = static_cast<std::uint16_t>(i);
    });
    return book;
}

std::array<std::uint16_t, codeword_length> ports_of(std::span<const std::uint8_t, codeword_length> word,
                                                    const Secret32& seed, const PortSpan& span) {
    std::array<std::uint16_t, codeword_length> ports{};
    shuffle(seed, span, [&](std::uint32_t i, std::uint16_t port) {
        if (const std::uint32_t position = i >> 8; word[position] == (i & 0xff)) ports[position] = port;
    });
    return ports;
}

}  // namespace oneknock

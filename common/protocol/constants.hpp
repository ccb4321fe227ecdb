// The constants of docs/protocol.md, each with its section, and the small types that carry protocol values.
// Constants of this implementation (caps, budgets) live beside the code they bound, never here.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "common/bytes.hpp"

namespace oneknock {

// Section "Message".
inline constexpr std::size_t tag_length = 16;
inline constexpr std::size_t hint_length = 2;
inline constexpr std::size_t plaintext_length_ipv4 = 18;
inline constexpr std::size_t plaintext_length_ipv6 = 30;
inline constexpr std::size_t message_length_ipv4 = hint_length + tag_length + plaintext_length_ipv4;
inline constexpr std::size_t message_length_ipv6 = hint_length + tag_length + plaintext_length_ipv6;
inline constexpr std::size_t longest_message = message_length_ipv6;
static_assert(message_length_ipv4 == 36 && message_length_ipv6 == 48);

// Section "Codeword".
inline constexpr std::size_t codeword_length = 64;

// Section "Codebook". A symbol is position * 256 + byte, 14 bits.
inline constexpr std::size_t symbol_count = codeword_length * 256;
inline constexpr std::size_t smallest_span = symbol_count;

// Section "Keys".
inline constexpr std::chrono::seconds epoch_length{3600};
inline constexpr std::size_t door_id_length = 16;

// Section "Sending".
inline constexpr std::size_t longest_udp_payload = 8;
inline constexpr std::chrono::milliseconds repeat_limit{5000};  // how long one message may be sent again
inline constexpr std::chrono::milliseconds repeat_pause{250};   // before it is, plus the jitter
inline constexpr std::chrono::milliseconds repeat_jitter{500};  // uniform in 0..this

// Section "Receiving".
inline constexpr std::chrono::seconds pair_lifetime{5};
inline constexpr std::size_t agreeing_beyond_k = 8;  // a word that k + this many pairs agree with is done
inline constexpr std::chrono::seconds default_tolerance{60};

enum class Family : std::uint8_t { ipv4 = 4, ipv6 = 6 };
enum class Operation : std::uint8_t { open = 1, close = 2 };

inline constexpr std::uint8_t protocol_tcp = 6;  // IANA
inline constexpr std::uint8_t protocol_udp = 17;

constexpr std::size_t message_length(Family family) {
    return family == Family::ipv4 ? message_length_ipv4 : message_length_ipv6;
}

struct DoorId {
    Bytes<door_id_length> bytes{};
    friend auto operator<=>(const DoorId&, const DoorId&) = default;
};

struct Tag {
    Bytes<tag_length> bytes{};
    friend auto operator<=>(const Tag&, const Tag&) = default;
};

struct Hint {
    Bytes<hint_length> bytes{};
    friend auto operator<=>(const Hint&, const Hint&) = default;
};

// Hours since 1970; always of a message's time field, never of the moment of sending.
struct Epoch {
    std::uint64_t value = 0;
    friend auto operator<=>(const Epoch&, const Epoch&) = default;
};

constexpr Epoch epoch_of(std::chrono::sys_seconds time) {
    return Epoch{static_cast<std::uint64_t>(time.time_since_epoch() / epoch_length)};
}
constexpr std::chrono::sys_seconds start_of(Epoch epoch) {
    return std::chrono::sys_seconds{epoch_length * static_cast<std::int64_t>(epoch.value)};
}

}  // namespace oneknock

// The erasure code that spreads a message over 64 packets (docs/protocol.md, "Codeword"), on libfec.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "common/protocol/constants.hpp"
#include "common/protocol/message.hpp"

namespace oneknock {

using Codeword = Bytes<codeword_length>;

// The code of one family: k = 36 (IPv4) or 48 (IPv6). Neither operation allocates.
class Code {
public:
    explicit Code(Family family);

    [[nodiscard]] Family family() const { return family_; }
    [[nodiscard]] std::size_t k() const { return message_length(family_); }

    [[nodiscard]] Codeword encode(const Message& message) const;

    // The code word within reach of `word`, whose positions listed in `missing` (0..63, distinct) hold nothing:
    // 2 * wrong + missing <= 64 - k. Near that bound random words decode too; only a message's tag decides.
    // The result is always a code word: it is checked by encoding its message again.
    [[nodiscard]] std::optional<Codeword> decode(const Codeword& word, std::span<const std::uint8_t> missing) const;

    [[nodiscard]] Message message_of(const Codeword& word) const;

private:
    struct Free {
        void operator()(void* handle) const;
    };
    [[nodiscard]] Codeword encode_bytes(const std::uint8_t* message) const;

    Family family_;
    std::unique_ptr<void, Free> handle_;
};

// Checks the library against a known answer; false means that this build of libfec must not be used.
[[nodiscard]] bool codeword_self_test();

}  // namespace oneknock

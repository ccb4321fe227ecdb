#include "tests/guess/messages.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>

#include "common/protocol/codeword.hpp"

namespace oneknock {
namespace {

constexpr std::size_t tag_at = hint_length;
constexpr Epoch epoch = epoch_of(BenchDoor::noon);
constexpr std::uint64_t per_real_message = 1024;  // guesses that start from the same one

Family family_of(std::uint64_t turn) { return turn % 2 == 0 ? Family::ipv4 : Family::ipv6; }
Address address_of(Family family) { return *Address::parse(family == Family::ipv4 ? "192.0.2.1" : "2001:db8::1"); }

void put_hint(Message& message, Hint hint) {
    for (std::size_t i = 0; i < hint_length; ++i) message.bytes[i] = hint.bytes[i] ^ message.bytes[tag_at + i];
}

class Messages {
public:
    explicit Messages(BenchDoor& door) : door_(door) {}

    Message random(std::uint64_t turn) {
        Message message{family_of(turn), {}};
        roll(dice_, message);
        return message;
    }

    // The tag and the rest are random.
    Message with_right_hint(std::uint64_t turn) {
        if (turn % per_real_message == 0) real_ = real_message(family_of(turn));
        Message message = random(turn);
        put_hint(message, real_.hint());
        return message;
    }

    // One to eight bits of a real message are changed, or its hint is another client's. The hint is the right one else.
    Message changed(std::uint64_t turn) {
        if (turn % per_real_message == 0) real_ = real_message(family_of(turn / per_real_message));
        Message message = real_;
        if (turn % 16 == 0) {
            put_hint(message, real_message(real_.family).hint());
        } else {
            const std::size_t bits = (message.length() - hint_length) * 8;
            for (std::size_t left = 1 + dice_() % 8; left > 0; --left) {
                const std::size_t bit = dice_() % bits;
                message.bytes[tag_at + bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
            }
            put_hint(message, real_.hint());
        }
        if (message == real_) message.bytes[tag_at + tag_length] ^= 1;
        return message;
    }

    // What the decoder makes of a random word, if anything.
    std::optional<Message> decoded(std::uint64_t turn) {
        const Code& code = codes_[turn % 2];
        Codeword word;
        for (std::uint8_t& byte : word) byte = static_cast<std::uint8_t>(dice_());
        std::ranges::shuffle(positions_, dice_);
        const std::size_t most = codeword_length - code.k();
        const std::size_t missing = turn % 4 < 2 ? most : dice_() % (most + 1);
        const auto found = code.decode(word, std::span(positions_).first(missing));
        return found ? std::optional(code.message_of(*found)) : std::nullopt;
    }

    [[nodiscard]] bool verifies(const Message& message) { return !door_.verifier().verify(message, epoch).empty(); }

    // Of every client, a message of each family.
    [[nodiscard]] bool real_ones_verify() {
        for (std::size_t client = 0; client < door_.clients(); ++client)
            for (const Family family : {Family::ipv4, Family::ipv6})
                if (!verifies(door_.candidate(client, address_of(family)).message)) return false;
        return true;
    }

private:
    Message real_message(Family family) {
        return door_.candidate(dice_() % door_.clients(), address_of(family)).message;
    }

    static std::array<std::uint8_t, codeword_length> all_positions() {
        std::array<std::uint8_t, codeword_length> positions{};
        for (std::uint8_t i = 0; i < codeword_length; ++i) positions[i] = i;
        return positions;
    }

    BenchDoor& door_;
    Dice dice_ = fresh_dice();
    Message real_;
    const std::array<Code, 2> codes_{Code{Family::ipv4}, Code{Family::ipv6}};
    std::array<std::uint8_t, codeword_length> positions_ = all_positions();
};

Outcome guess(BenchDoor& door, std::string kind, std::uint64_t count,
              const std::function<std::optional<Message>(Messages&, std::uint64_t)>& make) {
    Messages messages(door);
    Outcome outcome{std::move(kind)};
    outcome.real_ones_verified = messages.real_ones_verify();
    const double begin = processor_seconds();
    for (; outcome.tried < count; ++outcome.tried) {
        const auto message = make(messages, outcome.tried);
        if (!message) continue;
        ++outcome.asked;
        if (messages.verifies(*message)) ++outcome.opened;
    }
    outcome.seconds = processor_seconds() - begin;
    outcome.real_ones_verified = outcome.real_ones_verified && messages.real_ones_verify();
    return outcome;
}

}  // namespace

void roll(Dice& dice, Message& message) {
    static_assert(longest_message % sizeof(Dice::result_type) == 0);
    Bytes<longest_message> bytes;
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(Dice::result_type)) store_u64be(&bytes[at], dice());
    std::copy_n(bytes.begin(), message.length(), message.bytes.begin());
}

std::vector<Outcome> guess_messages(BenchDoor& door, std::uint64_t count) {
    std::vector<Outcome> outcomes;
    outcomes.push_back(guess(door, "random messages", count, &Messages::random));
    outcomes.push_back(guess(door, "a client's hint, the rest random", count, &Messages::with_right_hint));
    outcomes.push_back(guess(door, "a client's message, changed", count, &Messages::changed));
    outcomes.push_back(guess(door, "random words at the decoder", count / 10, &Messages::decoded));
    return outcomes;
}

}  // namespace oneknock

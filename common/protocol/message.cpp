#include "common/protocol/message.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include <sodium.h>

namespace oneknock {
namespace {

constexpr std::string_view seal_label = "oneknock/1";
constexpr std::size_t tag_offset = hint_length;
constexpr std::size_t body_offset = hint_length + tag_length;
constexpr std::size_t longest_plaintext = plaintext_length_ipv6;

constexpr std::size_t plaintext_length(Family family) { return message_length(family) - body_offset; }

// The plaintext's bytes, wiped at the end of their scope.
struct Plaintext {
    Bytes<longest_plaintext> bytes{};
    Plaintext() = default;
    Plaintext(const Plaintext&) = delete;
    Plaintext& operator=(const Plaintext&) = delete;
    ~Plaintext() { wipe(bytes.data(), bytes.size()); }
};

void encode(const Request& request, Plaintext& plaintext) {
    auto* p = plaintext.bytes.data();
    p[0] = request.operation;
    p[1] = request.protocol;
    store_u16be(p + 2, request.port);
    store_u16be(p + 4, request.duration_s);
    store_u32be(p + 6, request.time);
    std::ranges::copy(request.nonce, p + 10);
    std::ranges::copy(request.address.span(), p + 14);
}

Request decode(const Plaintext& plaintext, Family family) {
    const auto* p = plaintext.bytes.data();
    Request request;
    request.operation = p[0];
    request.protocol = p[1];
    request.port = load_u16be(p + 2);
    request.duration_s = load_u16be(p + 4);
    request.time = load_u32be(p + 6);
    std::copy_n(p + 10, request.nonce.size(), request.nonce.begin());
    request.address = Address::any(family);
    std::copy_n(p + 14, request.address.length(), request.address.bytes.begin());
    return request;
}

Tag compute_tag(const Plaintext& plaintext, Family family, const Secret32& mac, const DoorId& door, Hint hint) {
    crypto_generichash_state state;
    Tag tag;
    const auto family_byte = static_cast<std::uint8_t>(family);
    crypto_generichash_init(&state, mac.data(), Secret32::size, tag_length);
    crypto_generichash_update(&state, reinterpret_cast<const std::uint8_t*>(seal_label.data()), seal_label.size());
    crypto_generichash_update(&state, door.bytes.data(), door.bytes.size());
    crypto_generichash_update(&state, hint.bytes.data(), hint.bytes.size());
    crypto_generichash_update(&state, &family_byte, 1);
    crypto_generichash_update(&state, plaintext.bytes.data(), plaintext_length(family));
    crypto_generichash_final(&state, tag.bytes.data(), tag_length);
    sodium_memzero(&state, sizeof state);
    wipe_traces();
    return tag;
}

void apply_cipher(std::uint8_t* to, const std::uint8_t* from, std::size_t length, const Tag& tag,
                  const Secret32& cipher) {
    static_assert(crypto_stream_xchacha20_NONCEBYTES == tag_length + 8);
    Bytes<crypto_stream_xchacha20_NONCEBYTES> nonce{};
    std::ranges::copy(tag.bytes, nonce.begin());
    crypto_stream_xchacha20_xor(to, from, length, nonce.data(), cipher.data());
    wipe_traces();
}

}  // namespace

std::string operation_name(std::uint8_t operation) {
    if (operation == static_cast<std::uint8_t>(Operation::open)) return "open";
    if (operation == static_cast<std::uint8_t>(Operation::close)) return "close";
    return std::to_string(operation);
}

Tag Message::tag() const {
    Tag tag;
    std::copy_n(bytes.begin() + tag_offset, tag_length, tag.bytes.begin());
    return tag;
}

Hint Message::hint() const {
    return Hint{{static_cast<std::uint8_t>(bytes[0] ^ bytes[tag_offset]),
                 static_cast<std::uint8_t>(bytes[1] ^ bytes[tag_offset + 1])}};
}

Message seal(const Request& request, const MessageKeys& keys, const DoorId& door, Hint hint) {
    const Family family = request.address.family;
    Plaintext plaintext;
    encode(request, plaintext);
    const Tag tag = compute_tag(plaintext, family, keys.mac, door, hint);
    Message message{family, {}};
    message.bytes[0] = hint.bytes[0] ^ tag.bytes[0];
    message.bytes[1] = hint.bytes[1] ^ tag.bytes[1];
    std::ranges::copy(tag.bytes, message.bytes.begin() + tag_offset);
    apply_cipher(message.bytes.data() + body_offset, plaintext.bytes.data(), plaintext_length(family), tag,
                 keys.cipher);
    return message;
}

std::optional<Request> unseal(const Message& message, const MessageKeys& keys, const DoorId& door) {
    Plaintext plaintext;
    const Tag claimed = message.tag();
    apply_cipher(plaintext.bytes.data(), message.bytes.data() + body_offset, plaintext_length(message.family), claimed,
                 keys.cipher);
    const Tag computed = compute_tag(plaintext, message.family, keys.mac, door, message.hint());
    if (sodium_memcmp(computed.bytes.data(), claimed.bytes.data(), tag_length) != 0) return std::nullopt;
    return decode(plaintext, message.family);
}

}  // namespace oneknock

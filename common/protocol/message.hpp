// Plaintext to sealed message and back (docs/protocol.md, "Plaintext" and "Seal").
#pragma once

#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/constants.hpp"
#include "common/protocol/key_schedule.hpp"

namespace oneknock {

// The plaintext. Values are carried as received: what they may be is the receiver's policy.
struct Request {
    std::uint8_t operation = static_cast<std::uint8_t>(Operation::open);
    std::uint8_t protocol = protocol_tcp;
    std::uint16_t port = 0;
    std::uint16_t duration_s = 0;  // 0: the server's default
    std::uint32_t time = 0;        // unix seconds
    Bytes<4> nonce{};
    Address address;  // its family is the message's

    [[nodiscard]] bool is_open() const { return operation == static_cast<std::uint8_t>(Operation::open); }
    [[nodiscard]] bool is_close() const { return operation == static_cast<std::uint8_t>(Operation::close); }
    [[nodiscard]] Service service() const { return {protocol, port}; }
    [[nodiscard]] UnixTime made_at() const { return UnixTime{Seconds{time}}; }
    friend bool operator==(const Request&, const Request&) = default;
};

// "open", "close", else the number.
[[nodiscard]] std::string operation_name(std::uint8_t operation);
[[nodiscard]] inline std::string operation_name(Operation operation) {
    return operation_name(static_cast<std::uint8_t>(operation));
}

// A sealed message: 36 bytes (IPv4) or 48 bytes (IPv6).
struct Message {
    Family family = Family::ipv4;
    Bytes<longest_message> bytes{};

    [[nodiscard]] std::size_t length() const { return message_length(family); }
    [[nodiscard]] ByteSpan span() const { return {bytes.data(), length()}; }
    [[nodiscard]] Tag tag() const;
    [[nodiscard]] Hint hint() const;
    friend bool operator==(const Message&, const Message&) = default;
};

[[nodiscard]] Message seal(const Request& request, const MessageKeys& keys, const DoorId& door, Hint hint);

// Nothing unless the tag verifies under these keys, compared in constant time; a plaintext that does not is wiped.
[[nodiscard]] std::optional<Request> unseal(const Message& message, const MessageKeys& keys, const DoorId& door);

}  // namespace oneknock

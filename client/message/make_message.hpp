// Makes a message out of a key and a request, and its packets' destination ports out of the message. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "client/message/knock_settings.hpp"
#include "common/protocol/message.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// What one run of the program asks for, the same for every address of the door.
struct Task {
    const KeyFile& key;
    const KnockSettings& settings;
    Service service;
};

struct KnockMessage {
    Request request;
    std::array<std::uint16_t, codeword_length> ports{};  // by position
};

// With a fresh nonce. `address` is the one to open for; `now` is this machine's clock, to which --time-offset is added.
[[nodiscard]] KnockMessage make_message(const Task& task, const Address& address, UnixTime now);

// The time of a message made now. ExitCode::usage if --time-offset takes it out of the protocol's 32 bits.
[[nodiscard]] Result<UnixTime> message_time(const KnockSettings& settings, UnixTime now);

// Refuses fewer packets than a message of this family needs: no server could put it together.
[[nodiscard]] Result<void> check_packet_count(std::size_t packets, Family family);

// `count` of the 64 positions, each at most once, every choice and order equally likely.
[[nodiscard]] std::vector<std::uint8_t> sending_order(std::size_t count);

// The ports of one pass, in sending order.
[[nodiscard]] std::vector<std::uint16_t> ports_of_pass(const KnockMessage& message, std::size_t count);

}  // namespace oneknock

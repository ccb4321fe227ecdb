// Making a message, and the order in which its packets leave.
#pragma once

#include <cstdint>
#include <vector>

#include "client/knock/targets.hpp"
#include "client/options.hpp"
#include "common/protocol/knock.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// What one run of the program asks for, at every target alike.
struct Task {
    const KeyFile& key;
    const KnockOptions& options;
    Service service;
};

// With a fresh nonce. `now` is this machine's clock, to which --time-offset is added.
[[nodiscard]] Request make_request(const Task& task, const Address& address, UnixTime now);
[[nodiscard]] Knock make_knock(const Task& task, const Request& request);

// The time a knock made now carries. ExitCode::usage if --time-offset leads out of the protocol's 32 bits.
[[nodiscard]] Result<UnixTime> knock_time(const KnockOptions& options, UnixTime now);

// `count` of the 64 positions, each at most once, every choice and order equally likely.
[[nodiscard]] std::vector<std::uint8_t> sending_order(std::size_t count);

// The ports of one pass, in sending order.
[[nodiscard]] std::vector<std::uint16_t> ports_of_pass(const Knock& knock, std::size_t count);

// Refuses fewer packets than one of the families needs: no server could put the message together.
[[nodiscard]] Result<void> check_packets(std::size_t packets, const std::vector<Target>& targets);

}  // namespace oneknock

// The client's half of the protocol in one function: what to ask, the keys and the time in; ports out.
#pragma once

#include <array>
#include <cstdint>

#include "common/protocol/codeword.hpp"
#include "common/protocol/message.hpp"
#include "common/protocol/port_span.hpp"
#include "common/secret.hpp"

namespace oneknock {

struct Knock {
    Message message;
    Codeword codeword;
    std::array<std::uint16_t, codeword_length> ports;  // by position
};

// The hour of the hint and the codebook is that of request.time.
[[nodiscard]] Knock make_knock(const Request& request, const Secret32& client_secret, const Secret32& door_secret,
                               const DoorId& door, const PortSpan& span);

}  // namespace oneknock

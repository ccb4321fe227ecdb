// Packets to random ports, as Ethernet frames, through the listener's parser, windows and decoder to the verifier.
#pragma once

#include <vector>

#include "tests/guess/guessing.hpp"

namespace oneknock {

// `count` packets of each kind: from one source (IPv4, IPv6, and with a port for each packet), from a thousand sources,
// from random ones, and from one source that knows the codebook and sends to its ports alone.
[[nodiscard]] std::vector<Outcome> guess_ports(BenchDoor& door, std::uint64_t count);

}  // namespace oneknock

// Messages at the verifier, as if the sender could read and write the codebook.
#pragma once

#include <vector>

#include "tests/guess/guessing.hpp"

namespace oneknock {

// `count` guesses of each kind: nothing but random bytes; the hint of a client and random bytes; a client's own message
// in which something is changed; and, a tenth as many, random words at the decoder, with as much missing as a knock may
// lack. IPv4 and IPv6 in turn.
[[nodiscard]] std::vector<Outcome> guess_messages(BenchDoor& door, std::uint64_t count);

}  // namespace oneknock

// Guesses at the parts of the daemon that stand between a stranger and an open port: what is tried, and how it went.
#pragma once

#include <cstdint>
#include <ctime>
#include <random>
#include <string>

#include "common/bytes.hpp"
#include "tests/bench/costs/door.hpp"

namespace oneknock {

// Fast, and good enough to be a stranger's dice; the keys that are to be guessed come from the kernel.
using Dice = std::mt19937_64;
[[nodiscard]] inline Dice fresh_dice() {
    Bytes<8> seed;
    fill_random(seed);
    return Dice{load_u32be(seed.data()) * std::uint64_t{0x1'0000'0000} + load_u32be(seed.data() + 4)};
}

struct Outcome {
    std::string kind;
    std::uint64_t tried = 0;
    std::uint64_t asked = 0;         // messages that the verifier was asked about
    std::uint64_t opened = 0;        // of these, verified
    bool real_ones_verified = true;  // a client's own message did, before and after the guesses, on the same way
    double seconds = 0;              // of the processor, for all guesses

    [[nodiscard]] bool is_good() const { return opened == 0 && real_ones_verified; }
};

// Of this process, so that what else the machine does is not in the rates.
[[nodiscard]] inline double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// All bytes of the message are replaced.
void roll(Dice& dice, Message& message);

}  // namespace oneknock

// What a knock is to be like: the part of the command line that decides about messages and packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/constants.hpp"

namespace oneknock {

// How the symbols travel.
enum class Via : std::uint8_t { udp, tcp };
[[nodiscard]] inline Via other(Via via) { return via == Via::udp ? Via::tcp : Via::udp; }
[[nodiscard]] inline std::string via_name(Via via) { return via == Via::udp ? "udp" : "tcp"; }

// Which address the message names.
struct SourceChoice {
    bool observed = false;                                                // all zero: "the source address you see"
    std::optional<Address> named;                                         // an address the user wrote
    [[nodiscard]] bool automatic() const { return !observed && !named; }  // see message_address()
};

struct KnockSettings {
    Operation operation = Operation::open;
    Seconds duration{0};  // 0..65535; 0: the server's default
    Via via = Via::udp;
    bool via_chosen = false;                // by the user: --wait keeps to it
    std::size_t packets = codeword_length;  // per pass; see check_packet_count()
    std::chrono::milliseconds pace{0};      // between packets
    bool pace_chosen = false;               // by the user: --wait keeps to it
    bool passes_chosen = false;             // the user said how many packets, or how fast: these, and no second pass
    SourceChoice source;
    std::optional<Family> family;
    std::optional<std::chrono::milliseconds> wait;  // knock again until the port answers, for this long
    Seconds time_offset{0};
    bool dry_run = false;  // send nothing
    bool verbose = false;  // tell of each message on standard error
};

// A pass that is not watched is followed by a second one, unless the user has said what passes are to be like.
[[nodiscard]] inline bool is_sent_twice(const KnockSettings& settings) {
    return !settings.wait && !settings.passes_chosen;
}

}  // namespace oneknock

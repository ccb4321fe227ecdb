// From a knock's ports back to what it asks for, as a server reads them (docs/protocol.md, "Receiving"), with a
// client's own key and without the server's patience: no order, no time, no budget. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/message.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

struct TakenApart {
    Epoch hour;
    std::size_t symbols = 0;  // of its code word, that have come
    std::size_t wrong = 0;    // that have not, and in whose place another has
    Message message;
    bool hint_is_ours = false;
    Request request;
};

// How far back a knock is looked for.
inline constexpr std::chrono::hours longest_ago{31 * 24};

// All knocks that this key has sealed, in their order: packets of other kinds may lie between them, and what has come
// twice counts once. The hours are tried from the one after `now` back; each takes a third of a millisecond.
[[nodiscard]] std::vector<TakenApart> take_apart(std::span<const std::uint16_t> ports, const KeyFile& key, UnixTime now,
                                                 std::chrono::hours ago = longest_ago);

// Where nothing was found: the hour whose codebook has most of the ports. Of any ports it has a quarter.
struct BestHour {
    Epoch hour;
    std::size_t symbols = 0;
};
[[nodiscard]] BestHour best_hour(std::span<const std::uint16_t> ports, const KeyFile& key, UnixTime now,
                                 std::chrono::hours ago = longest_ago);

}  // namespace oneknock

// Which hours' codebooks and hint tables are needed when (docs/protocol.md, "Receiving", step 2).
#pragma once

#include <vector>

#include "common/clock.hpp"
#include "common/protocol/constants.hpp"
#include "keys/keyring.hpp"

namespace oneknock {

// Ahead of the time at which a book goes live, so that it is ready then.
inline constexpr Seconds book_lead{30};

// The hours whose book is live at `now` or will be within `book_lead`; one or two of them.
[[nodiscard]] std::vector<Epoch> wanted_epochs(UnixTime now, Seconds tolerance);

// From when to when packets are looked up in an hour's book of a generation of the door.
struct BookValidity {
    UnixTime from{};
    UnixTime until{};  // inclusive
};
[[nodiscard]] BookValidity validity_of_book(Epoch epoch, const Generation& generation, Seconds tolerance);

// When the list of hours changes next.
[[nodiscard]] UnixTime next_change(UnixTime now, Seconds tolerance);

}  // namespace oneknock

// Bytes from one descriptor to another and back, for `oneknock connect`.
#pragma once

#include "common/clock.hpp"
#include "common/result.hpp"

namespace oneknock {

// How long one direction goes on without a byte once the other has ended for good.
inline constexpr Instant relay_patience = std::chrono::seconds{1};

// Copies `input` to `connection` and `connection` to `output`.
//  - The end of the input is passed on as the end of what the peer reads. Reading goes on until the peer ends.
//  - The peer's end closes `output`, and shuts it down where it is a socket, so that its other descriptors end as well.
//    What our input brings is still sent while it flows. The same where nobody reads `output` any more.
//  - A connection that breaks (a reset) is ExitCode::unavailable at once; what had come before is delivered while it is
//    taken. Bytes that nobody wanted to read are ExitCode::cannot_create.
// `connection` is a non-blocking socket; `output` is the caller's no more. SIGPIPE must be ignored.
[[nodiscard]] Result<void> relay(int input, int output, int connection, Instant patience = relay_patience);

// Sends `descriptor` over the socket `to` (SCM_RIGHTS), as ssh's ProxyUseFdpass expects it.
[[nodiscard]] Result<void> pass_descriptor(int descriptor, int to);

}  // namespace oneknock

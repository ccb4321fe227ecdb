// Bytes from one descriptor to another and back, for `oneknock connect`.
#pragma once

#include "common/result.hpp"

namespace oneknock {

// Copies `input` to `connection` and `connection` to `output` until both directions have ended. The end of the input
// is passed on as the end of what the peer reads; the end of the connection closes `output`. `connection` is a
// non-blocking socket; `output` is the caller's no more. SIGPIPE must be ignored.
[[nodiscard]] Result<void> relay(int input, int output, int connection);

// Sends `descriptor` over the socket `to` (SCM_RIGHTS), as ssh's ProxyUseFdpass expects it.
[[nodiscard]] Result<void> pass_descriptor(int descriptor, int to);

}  // namespace oneknock

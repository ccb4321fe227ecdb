// Opens, and waits for the port to accept: for `connect` and `run`, which report nothing about the knock itself.
#pragma once

#include "client/commands/prepare_knock.hpp"
#include "common/fd.hpp"

namespace oneknock {

// The first connection that was accepted; see use_connection(). `options.wait` must be set.
[[nodiscard]] Result<Descriptor> open_and_wait(const PreparedKnock& prepared, const KnockOptions& options);

}  // namespace oneknock

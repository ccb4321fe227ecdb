// Knocks as the options say, and with --wait until the port answers or the time is up, whatever the network does
// meanwhile.
#pragma once

#include "client/commands/prepare_knock.hpp"
#include "client/knock/knock_loop.hpp"

namespace oneknock {

// An error if nothing could be sent. What was prepared and the options outlive the outcome; `record` may be null.
[[nodiscard]] Result<KnockOutcome> pursue(const PreparedKnock& prepared, const KnockOptions& options,
                                          PcapWriter* record);

}  // namespace oneknock

// --wait ran out: what was seen, and what may be the reason, the likeliest first, each with what to do.
#pragma once

#include "client/commands/report.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// `now` is this machine's clock. ExitCode::unavailable if no knock could be sent in all that time, else try_later.
[[nodiscard]] Error timed_out(const Report& report, const KeyFile& key, const KnockOptions& options, UnixTime now);

// Of a door that was not found in all that time: the last reason, which is `error`.
[[nodiscard]] Error never_sent(const Error& error, const KnockOptions& options);

}  // namespace oneknock

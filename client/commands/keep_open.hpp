// A service that cannot be watched (UDP), kept open for as long as a command runs.
#pragma once

#include <string>
#include <vector>

#include "client/commands/prepare_knock.hpp"

namespace oneknock {

// What is asked for without --for: as long as the key allows, but not longer, since nothing closes it afterwards.
inline constexpr Seconds longest_kept{300};
[[nodiscard]] Seconds kept_duration(const KnockSettings& settings, const KeyFile& key);
// How soon to knock again: a knock or two may be lost before the grant ends.
[[nodiscard]] Instant renewal_interval(Seconds duration);

// What the daemon needs between a knock's last packet and the grant; nobody can watch for it.
inline constexpr Instant time_to_grant = std::chrono::milliseconds{100};

// Knocks once, at each of the door's addresses, and gives the daemon time to grant. What time may mend is tried again
// for default_wait.
[[nodiscard]] Result<void> knock_unwatched(const PreparedKnock& prepared, const KnockOptions& options);

// Knocks, runs `command`, and knocks again before the grant ends until the command does, from the addresses and at the
// addresses of that moment. Returns the command's status. `options.wait` is not set.
[[nodiscard]] Result<int> keep_open(const PreparedKnock& prepared, const KnockOptions& options,
                                    const std::vector<std::string>& command);

}  // namespace oneknock

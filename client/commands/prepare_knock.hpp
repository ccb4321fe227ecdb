// What every subcommand that knocks does first: the key, the service, the targets, and the rules that tie them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/door/key_store.hpp"
#include "client/knock/targets.hpp"
#include "client/options/options.hpp"

namespace oneknock {

struct PreparedKnock {
    OpenedDoor door;
    Service service;
    std::vector<Target> targets;
    std::optional<Error> not_found;  // why there are no targets now, which time may mend
    Instant deadline{};              // steady clock: until then with patience; a passphrase may be thought of before
};

// What to make of a door that is not found, for a reason that time may mend.
enum class Patience : std::uint8_t { none, will_wait };

// The door's addresses as they are now, and what the user should know of them. With a deadline see find_targets().
[[nodiscard]] Result<std::vector<Target>> find_door(const KeyFile& key, const KnockOptions& options,
                                                    std::vector<std::string>& warnings,
                                                    std::optional<Instant> deadline);

// Nothing is sent; warnings are printed. `now` is this machine's clock. With patience there may be no targets yet.
[[nodiscard]] Result<PreparedKnock> prepare_knock(const KnockOptions& options, UnixTime now, Patience patience);
// The same with a key that is open already.
[[nodiscard]] Result<PreparedKnock> prepare_knock(OpenedDoor door, const KnockOptions& options, Patience patience);

}  // namespace oneknock

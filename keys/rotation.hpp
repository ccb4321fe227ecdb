// Rotation: how the next generation of a secret comes, and when the earlier ones end. Pure: lists and times in, lists
// out.
//
// The files say what the administrator decided, the end of the overlap (not_after). An earlier end, once the new
// generation is in use, is worked out from the audit and held in memory alone: no file is written anew for it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "keys/keyring.hpp"

namespace oneknock {

inline constexpr Seconds default_overlap{7 * 86400};
inline constexpr Seconds longest_overlap{366 * 86400};

// How many generations of a door a daemon reads at a time: each has codebooks of its own.
inline constexpr std::size_t most_door_generations = 2;

// A generation ends with the second it names: at `now` == end it still holds.
[[nodiscard]] bool has_ended(const Generation& generation, UnixTime now);
// Valid, by a clock that may be behind that of the machine where it was made: a key made moments ago is good at once.
[[nodiscard]] bool is_in_force(const Generation& generation, UnixTime now, Seconds tolerance);

// Appends the next generation, valid from `now`. Earlier ones end after `overlap` at the latest; those that have ended
// by now are taken out. Fails only where no greater number is left.
[[nodiscard]] Result<void> add_generation(std::vector<Generation>& generations, Secret32 secret, UnixTime now,
                                          Seconds overlap);

// Since when and until when a generation was used, in knocks that were accepted, by the daemon's clock.
struct Use {
    UnixTime first{};
    UnixTime last{};
};
// Of one client, by the number of the generation. No use before the client's oldest generation began may be in here:
// the name may have been another client's then, whose generations had the same numbers. See uses_since().
using Uses = std::map<std::uint32_t, Use>;

void note_use(Uses& uses, std::uint32_t generation, UnixTime when);

// From when on uses of a client's name are this client's own.
[[nodiscard]] UnixTime uses_since(const Client& client);

// How long an old generation stays after a newer one was first used; nothing: until its own end.
using Grace = std::optional<Seconds>;

// When the generation at `index` ends: at its not_after, or earlier, `grace` after the first use of a later one. One
// without a not_after has no end: it was not rotated, but given a sibling by hand.
[[nodiscard]] std::optional<UnixTime> end_of(const std::vector<Generation>& generations, std::size_t index,
                                             const Uses& uses, const Grace& grace);

// Brings each not_after forward to the end above. May be repeated as uses come in: it only ever goes one way.
void end_early(std::vector<Generation>& generations, const Uses& uses, const Grace& grace);

// Whether a later generation than the newest in the file was used: the file is an older copy, of a backup perhaps.
[[nodiscard]] bool is_outdated(const std::vector<Generation>& generations, const Uses& uses);
// The newest generation of such a file ends like any that was rotated away: `grace` after the first use of a later one
// or, where there is none, after the usual overlap, since the end that it was given is not in this file.
void end_outdated(std::vector<Generation>& generations, const Uses& uses, const Grace& grace);

// The uses of the door's generations by its clients, as those of the one user they are together: it has first used a
// generation when the last client that may hold an earlier one first used that generation or a later one. Clients that
// are revoked or expired, or whose keys are all younger than the generation, are not waited for.
[[nodiscard]] Uses joint_uses(const Keyring& keyring, const std::map<std::string, Uses>& by_client, UnixTime now);

// The first client in the order of names, `from` or behind, that is waited for and has used neither this generation of
// the door's nor a later one; null: there is none.
[[nodiscard]] const Client* first_awaited(const Keyring& keyring, const std::map<std::string, Uses>& by_client,
                                          const Generation& generation, UnixTime now, const std::string& from);

// Whether the client may hold a key file with an earlier door secret than this generation, and still be let in.
[[nodiscard]] bool is_waited_for(const Client& client, const Generation& door_generation, UnixTime now);

}  // namespace oneknock

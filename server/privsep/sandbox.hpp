// What each room gives up, once and for good (docs/architecture.md, "Rooms"). Every function returns an error instead
// of going on with more than it should have; failing to drop a privilege ends the daemon.
#pragma once

#include <string>

#include "common/fd.hpp"
#include "common/result.hpp"
#include "server/privsep/identity.hpp"

namespace oneknock {

// In every room first: no core dumps, not attachable, dies with its parent, ignores the terminal's signals.
void harden_process(const char* name, bool is_child);

// Room for locked secrets beyond the hard limit, where root allows it.
void raise_locked_memory_limit();

// Other user, no capabilities, no way to new ones.
[[nodiscard]] Result<void> drop_everything(const Identity& identity);
// Whether root reads files past their owners and modes. The daemon cannot once it runs, so it does not at the start.
[[nodiscard]] Result<void> read_past_modes(bool may);
// Keeps CAP_NET_ADMIN and no way to others. As root CAP_KILL too, where it is there: the rooms are another user's, and
// the kernel asks whether a process that ends may signal those that are to end with it (PR_SET_PDEATHSIG).
[[nodiscard]] Result<void> keep_parents_capabilities();

// Confines file access to the folder of this O_PATH descriptor: as root by chroot, and by Landlock where the kernel has
// it, without which an ordinary user is refused. Returns the folder's path as seen from inside, ending in '/'. Must be
// called before drop_everything.
[[nodiscard]] Result<std::string> confine_to_folder(const Descriptor& folder, const Identity& identity);

}  // namespace oneknock

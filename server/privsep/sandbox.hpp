// What each room gives up, once and for good (docs/architecture.md, "Rooms"). Every function returns an error instead
// of going on with more than it should have; failing to drop a privilege ends the daemon.
#pragma once

#include <string>

#include <sys/types.h>

#include "common/result.hpp"

namespace oneknock {

// Whom the unprivileged rooms run as.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;
    bool can_change = false;  // started as root: the rooms change to it; else they stay whom they are
};

// `user`, else "nobody" if there is none of that name; without root, whoever runs the program.
[[nodiscard]] Result<Identity> find_identity(const std::string& user);

// In every room first: no core dumps, not attachable, dies with its parent, ignores the terminal's signals.
void harden_process(const char* name, bool is_child);

// Room for locked secrets, as far as the hard limit or root allows.
void raise_locked_memory_limit();

// Other user, no capabilities, no way to new ones.
[[nodiscard]] Result<void> drop_everything(const Identity& identity);
// Keeps CAP_NET_ADMIN and no way to others.
[[nodiscard]] Result<void> keep_net_admin_only();

// Confines file access to `folder`, with what works here: chroot as root, else Landlock. Returns the folder's path as
// seen from inside. Must be called before drop_everything.
[[nodiscard]] Result<std::string> confine_to_folder(const std::string& folder, const Identity& identity);

// seccomp. The listener: a list of what it may; anything else kills the process. The gatekeeper: no new sockets, no
// programs or processes, no tracing or signals, no way out of its folder, nothing put into a terminal; these fail with
// EPERM.
[[nodiscard]] Result<void> allow_listener_calls_only();
[[nodiscard]] Result<void> deny_network_and_programs();

}  // namespace oneknock

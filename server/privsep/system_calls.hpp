// seccomp: the system calls that each room may make once it is set up, and with what. Everything else kills the
// listener, and fails with EPERM in the other rooms: their libraries may try what they can do without. The lists hold
// for the rest of a process's life, and need no_new_privs set. Calls of another architecture or convention (32 bits,
// x32) kill in every room.
#pragma once

#include "common/result.hpp"

namespace oneknock {

// Reads what is open, writes lines on standard error, and sends on this descriptor, the channel to the gatekeeper: not
// on its captures. Makes no descriptor, so that none can take another's number; writes to one and closes it, by which
// it says that it is ready.
[[nodiscard]] Result<void> allow_listener_calls_only(int channel, int ready);

// Files (of the folder it is confined to), its channels and the connections that this listening socket has accepted. It
// sends no descriptor.
[[nodiscard]] Result<void> allow_gatekeeper_calls_only(int control_socket);

// Opens files to read them, and watches them; netlink and channels by what is open. It writes to standard error alone.
[[nodiscard]] Result<void> allow_parent_calls_only();

}  // namespace oneknock

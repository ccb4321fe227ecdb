// The gatekeeper's start behind its locks: the key files that the parent passes, and the record in the state folder.
#pragma once

#include <string>

#include "server/gatekeeper/decide/decider.hpp"
#include "server/gatekeeper/keys/key_problems.hpp"
#include "server/privsep/channel.hpp"
#include "server/privsep/sandbox.hpp"

namespace oneknock {

// Confines the process to the state folder and gives everything else up; the folder's path as seen from inside, ending
// in '/'.
[[nodiscard]] Result<std::string> enter_sandbox(const Descriptor& state, int control_socket, const Identity& identity);

struct Settings {
    Limits limits;
    bool rests = false;  // between slices of long work
};
// Blocks until the parent has sent them.
[[nodiscard]] Result<Settings> receive_settings(Channel& parent);

// Blocks until every key file has come by the channel. `folder` is what enter_sandbox() gave. Clients whose files are
// wrong are kept out, and stand in `problems`. An error with an empty message has been told by the parent already.
[[nodiscard]] Result<Decider> make_decider(const Limits& limits, const std::string& folder, const BootId& boot,
                                           Channel& channel, KeyProblems& problems);

}  // namespace oneknock

// The descriptors with which oneknockd starts the programs of its rooms: these and standard error, nothing else.
// Standard input and output are the parent's, which are /dev/null.
#pragma once

namespace oneknock {

enum class ListenerEnd : int {
    gatekeeper = 3,  // channel
    ready,           // pipe: one byte when everything is open and everything else given up
};
inline constexpr int listener_ends = 2;

enum class GatekeeperEnd : int {
    listener = 3,  // channel
    parent,        // channel
    keys,          // channel, for key files alone
    control,       // listening socket
    state,         // the state folder, O_PATH
    journal,       // the journal's socket, if the log goes there: then the word "journal" is an argument
};
inline constexpr int gatekeeper_ends = 5;  // without the journal

}  // namespace oneknock

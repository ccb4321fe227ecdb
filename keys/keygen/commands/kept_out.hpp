// What keeps a client out, as its file says.
#pragma once

#include <string>
#include <vector>

#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {

struct KeptOut {
    std::string why;    // "is revoked"
    std::string words;  // of the command that changes that: "unrevoke laptop"
};

// What keeps it out whichever key it has.
[[nodiscard]] std::vector<KeptOut> kept_out_by_policy(const Client& client, UnixTime now);

// Warns of all of that, and of keys that have ended; each time with the command. False: nothing keeps it out.
bool warn_of_what_keeps_out(const Client& client, const DoorFolder& folder, UnixTime now);

}  // namespace oneknock::keygen

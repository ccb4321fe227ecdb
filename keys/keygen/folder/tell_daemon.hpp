// After a door's folder was changed: the daemon that uses it, if one runs, is made to take the change in at once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {

// What a daemon says it has in force, of the door and of the client that it was asked about. What it does not say is
// empty, so it is not what is wanted.
struct InForce {
    std::map<std::string, std::string> services;  // "ssh": "tcp/22"
    std::uint32_t door_generation = 0;
    // Of the client.
    std::optional<bool> let_in;
    std::uint32_t generation = 0;
    std::vector<std::string> allow;
    std::string source, expires;
    std::int64_t max_duration_s = 0;
};

// What a command wants to be in force from now on.
struct Wanted {
    std::string client;  // that it is about; empty: the door
    std::function<bool(const InForce&)> is_in_force;
    std::string text;  // what that means: "laptop may open ssh (tcp/22)"
    // Of a command that takes away, "laptop is revoked": a daemon that does not have it in force is an error then, and
    // not only warned of.
    std::string taken_away;
};

// Asks the daemon on the socket that DIR/oneknockd.json names, and prints what it answered, or that nobody did. To be
// called when the folder's lock is released: the daemon may take its time.
[[nodiscard]] Result<void> tell_daemon(const DoorFolder& folder, const Wanted& wanted);

}  // namespace oneknock::keygen

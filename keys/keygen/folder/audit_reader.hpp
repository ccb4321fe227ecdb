// A read-only view of the daemon's audit: who used which key when. For `oneknock-keygen list`.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/result.hpp"
#include "keys/rotation.hpp"

struct sqlite3;

namespace oneknock {

// The accepted knocks of one client.
struct ClientUses {
    Uses generations;       // of the client's key, by generation
    Uses door_generations;  // likewise of the door's secret; empty where the audit does not tell
};

class AuditReader {
public:
    // The record in the daemon's state folder. It is written by a room that strangers' messages reach: so a process of
    // root's gives up root for the folder's owner, and everything outside of the folder, both for good, before it
    // reads. No record yet: ExitCode::no_input.
    [[nodiscard]] static Result<AuditReader> open(const std::string& state_folder);

    // Since this time; see uses_since().
    [[nodiscard]] Result<ClientUses> uses_of(const std::string& client, UnixTime since);

    // False in records of before the door's secret could be rotated.
    [[nodiscard]] bool tells_door_generations() const { return tells_door_generations_; }

private:
    struct Close {
        void operator()(sqlite3* db) const;
    };

    AuditReader() = default;
    [[nodiscard]] Error unreadable() const;

    std::unique_ptr<sqlite3, Close> db_;
    std::string path_;  // for messages
    bool tells_door_generations_ = false;
};

}  // namespace oneknock

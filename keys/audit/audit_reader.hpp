// A read-only view of the daemon's audit: who used which key when, for `oneknock-keygen list`, and its lines, for
// `oneknockctl audit`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/result.hpp"
#include "keys/rotation.hpp"

struct sqlite3;

namespace oneknock {

// The accepted knocks of one client.
struct ClientUses {
    Uses generations;       // of the client's key, by generation
    Uses door_generations;  // likewise of the door's secret; empty where the audit does not tell
};

// A line as it stands in the file. The room that writes it reads what strangers send: its texts are not checked.
struct AuditLine {
    std::int64_t id = 0;  // grows from line to line
    UnixTime when{};
    std::string client;
    std::int64_t generation = 0;
    std::string source;
    std::string operation;
    std::string protocol;
    std::int64_t port = 0;
    std::string address;
    std::int64_t duration_s = 0;
    std::string decision;  // "accepted" or "refused"
    std::string reason;    // empty when accepted
};

// What is not set fits every line.
struct AuditFilter {
    std::optional<std::string> client;
    std::optional<Service> service;
    std::optional<UnixTime> since, until;  // both included
    std::optional<std::string> decision;   // "accepted", "refused", or the reason of a refusal
};

class AuditReader {
public:
    // The record in the daemon's state folder. It is written by a room that strangers' messages reach: so a process of
    // root's gives up root for the folder's owner, and everything outside of the folder, both for good, before it
    // reads. No record yet: ExitCode::no_input.
    [[nodiscard]] static Result<AuditReader> open(const std::string& state_folder);

    // Since this time; see uses_since().
    [[nodiscard]] Result<ClientUses> uses_of(const std::string& client, UnixTime since);

    // At most `most` of those that fit, after the line with the id `after`, in the order in which they were written.
    // The file is not held in between: what is being read keeps the daemon from folding its log into it.
    [[nodiscard]] Result<std::vector<AuditLine>> lines(const AuditFilter& filter, std::int64_t after, int most);

    // Whether the daemon has begun a new file since, which is read from now on; its ids begin anew.
    [[nodiscard]] Result<bool> take_replacement();

    // False in records of before the door's secret could be rotated.
    [[nodiscard]] bool tells_door_generations() const { return tells_door_generations_; }

private:
    struct Close {
        void operator()(sqlite3* db) const;
    };

    AuditReader() = default;
    [[nodiscard]] Result<void> open_database();
    [[nodiscard]] Error unreadable() const;

    std::unique_ptr<sqlite3, Close> db_;
    std::string path_;    // for messages
    std::string inside_;  // as this process sees it
    struct stat file_ {};
    bool tells_door_generations_ = false;
};

}  // namespace oneknock

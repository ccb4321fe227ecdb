// What `list` tells about a door: its files and its audit, put together. No secret is in here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "keys/audit/audit_reader.hpp"
#include "keys/rotation.hpp"

namespace oneknock::keygen {

// Of a generation: in force; in force until the end of a rotation; over. Of a client: let in; no longer; never again.
enum class Status : std::uint8_t { valid, ending, ended, expired, revoked };
[[nodiscard]] const char* text_of(Status status);

struct GenerationView {
    std::uint32_t number = 1;
    UnixTime not_before{};
    std::optional<UnixTime> not_after;  // as the file has it
    std::optional<UnixTime> ends;       // as the daemon has it: also by the first use of a later one
    std::optional<UnixTime> last_used;
    Status status = Status::valid;
};

struct ClientView {
    const Client* client = nullptr;
    Status status = Status::valid;
    std::vector<GenerationView> generations;
    std::optional<std::uint32_t> door_generation;  // the newest it has used
};

struct Overview {
    std::vector<GenerationView> door;
    std::vector<ClientView> clients;
    bool knows_uses = false;       // whether there is an audit; without one nothing is known to be unused
    bool knows_door_uses = false;  // whether it tells the generations of the door
};

// `audit` may be null. The keyring must outlive the overview.
[[nodiscard]] Result<Overview> make_overview(const Keyring& keyring, AuditReader* audit, const Grace& grace,
                                             UnixTime now);

}  // namespace oneknock::keygen

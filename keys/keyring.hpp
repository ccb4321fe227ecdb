// What the server holds: the door (kind "door", DIR/door.json) and its clients (kind "client",
// DIR/clients.d/NAME.json).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/port_span.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"
#include "keys/source_policy.hpp"

namespace oneknock {

// One secret of a door or a client. Valid from not_before until not_after.
struct Generation {
    std::uint32_t number = 1;
    Secret32 secret;
    UnixTime not_before{};
    std::optional<UnixTime> not_after;
};

struct Door {
    std::string name;
    std::string address;
    DoorId id;
    PortSpan span;
    std::map<std::string, Service> services;
    std::vector<Generation> generations;  // at least one, ascending numbers
};

struct Client {
    std::string name;
    std::vector<std::string> allow;  // names of the door's services
    SourcePolicy source;
    Seconds max_duration{60};
    bool revoked = false;
    std::optional<UnixTime> expires;
    std::vector<Generation> generations;  // at least one, ascending numbers
};

struct Keyring {
    Door door;
    std::vector<Client> clients;  // by name
};

// All that is in a client's file but its name and its keys.
[[nodiscard]] bool has_equal_policy(const Client& one, const Client& other);
[[nodiscard]] bool is_equal(const Client& one, const Client& other);
[[nodiscard]] bool is_equal(const Door& one, const Door& other);

// Null if there is none.
[[nodiscard]] const Client* find_client(const Keyring& keyring, std::string_view name);
[[nodiscard]] Client* find_client(Keyring& keyring, std::string_view name);

[[nodiscard]] Result<Door> parse_door(std::string_view text, const std::string& name);
[[nodiscard]] Result<Client> parse_client(std::string_view text, const std::string& name);

// A client's file is called NAME.json: so no two files are of one client, and a copy of one, whatever it is called,
// is no client's.
[[nodiscard]] Result<void> check_file_name(const Client& client, const std::string& file);
// Every service that the client is allowed must exist.
[[nodiscard]] Result<void> check_services(const Client& client, const Door& door, const std::string& file);
// Both.
[[nodiscard]] Result<void> check_client(const Client& client, const Door& door, const std::string& file);

// "ssh, web", for messages.
[[nodiscard]] std::string service_names(const std::map<std::string, Service>& services);

[[nodiscard]] SecretBytes door_text(const Door& door);
[[nodiscard]] SecretBytes client_text(const Client& client);

// Whether a file of a clients.d folder is a client's: it ends in ".json" and does not start with a dot.
[[nodiscard]] bool is_client_file(std::string_view name);

// The paths of a clients.d folder that are client files; sorted.
[[nodiscard]] Result<std::vector<std::string>> client_paths(const std::string& folder);

[[nodiscard]] Result<Door> load_door(const std::string& path);

// A door with those of its clients whose files are right, and what is wrong with the others'.
struct ReadableKeyring {
    Keyring keyring;
    std::vector<Error> problems;

    // Of a command that did what it could: the first problem. The others have been printed then.
    [[nodiscard]] Result<void> verdict() const;
};
[[nodiscard]] Result<ReadableKeyring> load_what_is_right(Door door, const std::string& clients_folder);

// Everything of a door's folder, with the checks of read_private_file; the first error stops it.
[[nodiscard]] Result<Keyring> load_keyring(const std::string& door_path, const std::string& clients_folder);

}  // namespace oneknock

// The subcommands of oneknock-keygen and what each is told.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/port_span.hpp"
#include "common/result.hpp"
#include "keys/config/daemon_config.hpp"
#include "keys/keygen/commands/handout.hpp"
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/rotation.hpp"
#include "keys/source_policy.hpp"

namespace oneknock::keygen {

// A new door: DIR/oneknockd.json, DIR/door.json, DIR/clients.d/, and word of it in the daemon's state folder.
struct Init {
    std::string folder = default_folder;
    std::string name;
    std::string address;
    std::map<std::string, Service> services;
    PortSpan span;
    std::vector<std::string> interfaces{"any"};
    std::string state = default_state;
    std::string socket = default_socket;
    std::string table = default_table;
};

// A new client: its file in DIR/clients.d, and its key file.
struct Add {
    std::string folder = default_folder;
    std::string client;
    std::vector<std::string> allow;
    SourcePolicy source;
    Seconds max_duration{60};
    std::optional<UnixTime> expires;
    Handout handout;
    std::string output;  // "-" is standard output
};

// The next generation of a client's key or, for all clients, of the door's secret.
struct Rotate {
    std::string folder = default_folder;
    std::string client;
    bool door = false;  // instead of a client
    Seconds overlap = default_overlap;
    bool force = false;  // the door: end old generations at once where there would be more than a daemon reads
    Handout handout;
    std::string output;  // a client's key file, "-" is standard output; the door: a new folder of key files
};

struct List {
    std::string folder = default_folder;
    bool json = false;
};

// All that `list` tells, of one client.
struct Show {
    std::string folder = default_folder;
    std::string client;
    bool json = false;
};

// More or fewer services that a client may open.
struct Allow {
    std::string folder = default_folder;
    std::string client;
    std::vector<std::string> services;
};
struct Deny {
    std::string folder = default_folder;
    std::string client;
    std::vector<std::string> services;
};

// Other limits of a client; what is absent stays.
struct Limit {
    std::string folder = default_folder;
    std::string client;
    std::optional<SourcePolicy> source;
    std::optional<Seconds> max_duration;
    std::optional<std::optional<UnixTime>> expires;  // nothing inside: never
};

struct Revoke {
    std::string folder = default_folder;
    std::string client;
};
struct Unrevoke {
    std::string folder = default_folder;
    std::string client;
};

// The services of the door.
struct ServiceAdd {
    std::string folder = default_folder;
    std::map<std::string, Service> services;
};
struct ServiceRemove {
    std::string folder = default_folder;
    std::vector<std::string> services;
};
struct ServiceList {
    std::string folder = default_folder;
    bool json = false;
};

// A door, its first client, a trial and the service in one go. What is not given is asked on the terminal.
struct Setup {
    Init door;
    std::string client;
    SourcePolicy source = *SourcePolicy::parse("observed");  // most first clients are behind a NAT
    Seconds max_duration{60};
    Handout handout;  // a key file, in the clear or sealed, or a code on the terminal
    Seconds trial{120};
};

using Command = std::variant<Setup, Init, Add, Rotate, List, Show, Allow, Deny, Limit, Revoke, Unrevoke, ServiceAdd,
                             ServiceRemove, ServiceList>;

// Each does all of its work or none of it, and tells on standard error what it did.
[[nodiscard]] Result<void> run(const Setup& command);  // keys/keygen/setup
[[nodiscard]] Result<void> run(const Init& command);
[[nodiscard]] Result<void> run(const Add& command);
[[nodiscard]] Result<void> run(const Rotate& command);
[[nodiscard]] Result<void> run(const List& command);
[[nodiscard]] Result<void> run(const Show& command);
[[nodiscard]] Result<void> run(const Allow& command);
[[nodiscard]] Result<void> run(const Deny& command);
[[nodiscard]] Result<void> run(const Limit& command);
[[nodiscard]] Result<void> run(const Revoke& command);
[[nodiscard]] Result<void> run(const Unrevoke& command);
[[nodiscard]] Result<void> run(const ServiceAdd& command);
[[nodiscard]] Result<void> run(const ServiceRemove& command);
[[nodiscard]] Result<void> run(const ServiceList& command);

}  // namespace oneknock::keygen

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
#include "keys/rotation.hpp"
#include "keys/source_policy.hpp"

namespace oneknock::keygen {

// A new door: DIR/oneknockd.json, DIR/door.json, DIR/clients.d/, and word of it in the daemon's state folder.
struct Init {
    std::string folder;
    std::string name;
    std::string address;
    std::map<std::string, Service> services;
    PortSpan span;
    std::vector<std::string> interfaces{"any"};
    std::string state = default_state;
    std::string socket = default_socket;
};

// A new client: its file in DIR/clients.d, and its key file.
struct Add {
    std::string folder;
    std::string client;
    std::vector<std::string> allow;
    SourcePolicy source;
    Seconds max_duration{60};
    std::optional<UnixTime> expires;
    std::string output;  // "-" is standard output
};

// The next generation of a client's key or, for all clients, of the door's secret.
struct Rotate {
    std::string folder;
    std::string client;
    bool door = false;  // instead of a client
    Seconds overlap = default_overlap;
    bool force = false;  // the door: end old generations at once where there would be more than a daemon reads
    std::string output;  // a client's key file, "-" is standard output; the door: a new folder of key files
};

struct List {
    std::string folder;
    bool json = false;
};

struct Revoke {
    std::string folder;
    std::string client;
};

using Command = std::variant<Init, Add, Rotate, List, Revoke>;

// Each does all of its work or none of it, and tells on standard error what it did.
[[nodiscard]] Result<void> run(const Init& command);
[[nodiscard]] Result<void> run(const Add& command);
[[nodiscard]] Result<void> run(const Rotate& command);
[[nodiscard]] Result<void> run(const List& command);
[[nodiscard]] Result<void> run(const Revoke& command);

}  // namespace oneknock::keygen

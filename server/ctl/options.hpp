// The one table of oneknockctl's subcommands and options (CLI11 behind it).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/completion.hpp"
#include "keys/config/daemon_config.hpp"

namespace CLI {
class App;
}

namespace oneknock {

// Of `audit`, as they were typed.
struct AuditWords {
    std::string config = default_config;
    std::optional<std::string> client, service, since, until, decision;
    bool follow = false;
};

struct CtlOptions {
    std::string socket = default_socket;
    std::string format = "text";
    std::string client;
    bool json = false, watch = false, all = false, strict = false, clock = false;
    std::string question;  // to the daemon; empty where none is asked
    AuditWords audit;
};

// `options` must outlive `app`.
void describe(CLI::App& app, CtlOptions& options);

// What a shell is to offer: clients, services, formats, decisions.
[[nodiscard]] std::vector<std::string> ctl_values(const std::string& place, const TypedWords& before);

}  // namespace oneknock

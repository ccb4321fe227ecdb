#include "server/ctl/options.hpp"

#include <algorithm>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/command_words.hpp"
#include "common/nearest_word.hpp"
#include "common/secret.hpp"
#include "keys/offered_names.hpp"
#include "server/ctl/audit_lines.hpp"

namespace oneknock {
namespace {

const std::vector<std::string> formats{"text", "json", "prometheus"};

std::string read_format(const std::string& word) {
    if (std::ranges::find(formats, word) != formats.end()) return word;
    throw CLI::ValidationError("--format " + word, "must be text, json or prometheus" + did_you_mean(word, formats));
}

void add_json(CLI::App& command, CtlOptions& options, const char* text = "Print JSON") {
    command.add_flag("--json", options.json, text);
}

void describe_status(CLI::App& status, CtlOptions& options) {
    add_json(status, options);
    status
        .add_option_function<std::string>(
            "--format", [&options](const std::string& word) { options.format = read_format(word); },
            "Format: text, json or prometheus")
        ->type_name("FORMAT")
        ->excludes(status.get_option("--json"));
    status.add_flag("--watch", options.watch, "Repeat every second until interrupted, in place on a terminal");
    status.callback([&options] { options.question = "status"; });
}

void describe_grants(CLI::App& grants, CtlOptions& options) {
    add_json(grants, options);
    grants.callback([&options] { options.question = "grants"; });
}

void describe_revoke(CLI::App& revoke, CtlOptions& options) {
    auto* const name = revoke.add_option("CLIENT", options.client, "The client");
    revoke.add_flag("--all", options.all, "Close the grants of all clients")->excludes(name);
    revoke.callback([&options] {
        if (options.client.empty() && !options.all) throw CLI::RequiredError("CLIENT or --all");
        options.question = "revoke " + (options.all ? std::string("--all") : options.client);
    });
}

void describe_reload(CLI::App& reload, CtlOptions& options) {
    reload.add_flag("--strict", options.strict, "Keep clients whose files are wrong out at once, not in 10 minutes");
    reload.callback([&options] { options.question = options.strict ? "reload --strict" : "reload"; });
}

void describe_audit(CLI::App& audit, CtlOptions& options) {
    AuditWords& words = options.audit;
    const auto add = [&audit](const char* name, std::optional<std::string>& to, const char* value, const char* text) {
        audit.add_option(name, to, text)->type_name(value);
    };
    add("--client", words.client, "CLIENT", "Only this client's knocks");
    add("--service", words.service, "SERVICE", "Only knocks for this service, a name of the door's or tcp/22");
    add("--since", words.since, "TIME", "Only from then on: 2h (ago), 2027-01-31 or 2027-01-31T12:00:00Z");
    add("--until", words.until, "TIME", "Only until then, likewise");
    add("--decision", words.decision, "DECISION", "Only accepted or refused ones, or those refused for this reason");
    audit.add_flag("--follow", words.follow, "Go on with the knocks to come, until interrupted");
    audit.add_option("--config", words.config, "The daemon's configuration, which names the state directory")
        ->type_name("FILE")
        ->capture_default_str();
    add_json(audit, options, "Print one JSON object a line");
}

}  // namespace

void describe(CLI::App& app, CtlOptions& options) {
    set_help_form(app, "oneknockctl " ONEKNOCK_VERSION,
                  "  oneknockctl status --watch\n  oneknockctl audit --client laptop --since 7d");
    app.add_option("--socket", options.socket, "The daemon's control socket")->type_name("PATH")->capture_default_str();
    app.fallthrough();
    describe_status(*app.add_subcommand("status", "Show what the daemon has seen and decided"), options);
    describe_grants(*app.add_subcommand("grants", "List the open grants and their remaining times"), options);
    describe_revoke(
        *app.add_subcommand("revoke", "Close a client's grants now; its key stays valid (see oneknock-keygen revoke)"),
        options);
    describe_audit(*app.add_subcommand("audit", "List who knocked when, from where, for what, and what became of it"),
                   options);
    describe_reload(*app.add_subcommand("reload", "Read the key files again"), options);
    app.add_subcommand("confirm", "Keep the guard that was started with --try")->callback([&options] {
        options.question = "confirm";
    });
    app.add_subcommand("clock", "Say whether this host's clock is synchronised")->callback([&options] {
        options.clock = true;
    });
}

std::vector<std::string> ctl_values(const std::string& place, const TypedWords& before) {
    if (place == "FORMAT") return formats;
    if (place == "DECISION") return known_decisions();
    if (place != "CLIENT" && place != "SERVICE") return {};
    initialise_crypto();  // files are read into locked memory
    const auto given = before.options.find("--config");
    const auto config = read_daemon_config(given == before.options.end() ? default_config : given->second);
    if (!config) return {};
    if (place == "CLIENT") return offered_clients(config->clients);
    return offered_services(config->door);
}

}  // namespace oneknock

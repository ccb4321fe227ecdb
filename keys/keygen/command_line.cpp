#include "keys/keygen/command_line.hpp"

#include <CLI/CLI.hpp>

#include "common/log.hpp"
#include "common/show_help.hpp"
#include "keys/keygen/arguments.hpp"

namespace oneknock::keygen {
namespace {

// An option whose text goes through `parse`; a refusal becomes one of CLI11's errors, which names the option.
template <class Text, class T>
CLI::Option* add_value(CLI::App& app, const std::string& names, T& value, Result<T> (*parse)(const Text&),
                       const std::string& type, const std::string& description) {
    const auto take = [names, &value, parse](const Text& text) {
        auto parsed = parse(text);
        if (!parsed) throw CLI::ValidationError(names, parsed.error().message);
        value = std::move(*parsed);
    };
    return app.add_option_function<Text>(names, take, description)
        ->type_name(type)
        ->allow_extra_args(false);  // one value each time: what follows may be another word
}

void add_folder(CLI::App& app, std::string& folder) {
    add_value(app, "--dir", folder, folder_argument, "DIR", "Directory of the door, such as /etc/oneknock")->required();
}

void add_client(CLI::App& app, std::string& client) {
    add_value(app, "CLIENT", client, name_argument, "", "The client's name")->required();
}

void declare(CLI::App& app, Init& init) {
    add_folder(app, init.folder);
    add_value(app, "--name", init.name, name_argument, "NAME", "The door's name")->required();
    add_value(app, "--address", init.address, host_argument, "HOST", "Host name or address that clients knock at")
        ->required();
    add_value(app, "--service", init.services, services_argument, "NAME=PROTOCOL/PORT",
              "Service that knocks open, such as ssh=tcp/22; may be repeated")
        ->required();
    add_value(app, "--span", init.span, span_argument, "SPAN", "Ports that knocks use (default: 1024-65535)");
    add_value(app, "--interface", init.interfaces, interfaces_argument, "IF",
              "Listen on this interface only; may be repeated (default: any)");
    add_value(app, "--state", init.state, state_argument, "DIR",
              std::string("State directory of the daemon (default: ") + default_state + ")");
    add_value(app, "--socket", init.socket, socket_argument, "PATH",
              std::string("Control socket of the daemon (default: ") + default_socket + ")");
}

void declare(CLI::App& app, Add& add) {
    add_folder(app, add.folder);
    add_client(app, add.client);
    add_value(app, "--allow", add.allow, names_argument, "SERVICE", "Service that the client may open; may be repeated")
        ->required();
    add_value(app, "--source", add.source, source_argument, "POLICY",
              "Addresses that it may open for: same, observed, any or a network (default: same)");
    add_value(app, "--max-duration", add.max_duration, max_duration_argument, "TIME",
              "Longest time that it may open for (default: 60s)");
    add_value(app, "--expires", add.expires, date_argument, "DATE",
              "Date on which the key expires, such as 2027-01-31 (default: never)");
    add_value(app, "-o,--output", add.output, path_argument, "FILE", "New key file, or - for standard output")
        ->required();
}

void declare(CLI::App& app, Rotate& rotate) {
    add_folder(app, rotate.folder);
    auto* const client = add_value(app, "CLIENT", rotate.client, name_argument, "", "The client's name; or use --door");
    app.add_flag("--door", rotate.door, "Rotate the door's secret, with new key files for all clients")
        ->excludes(client);
    app.parse_complete_callback([&rotate] {
        if (rotate.client.empty() && !rotate.door) throw CLI::RequiredError("CLIENT or --door");
    });
    add_value(app, "--overlap", rotate.overlap, overlap_argument, "TIME",
              "Longest time that the old key stays valid (default: 7d)");
    add_value(app, "-o,--output", rotate.output, path_argument, "FILE",
              "New key file, or - for standard output; with --door, a new directory for the key files")
        ->required();
    app.add_flag("--force", rotate.force, "With --door, if two secrets are in force: end the older one now");
}

void declare(CLI::App& app, List& list) {
    add_folder(app, list.folder);
    app.add_flag("--json", list.json, "Print JSON instead of a table");
}

void declare(CLI::App& app, Revoke& revoke) {
    add_folder(app, revoke.folder);
    add_client(app, revoke.client);
}

constexpr const char* init_examples =
    "  oneknock-keygen init --dir /etc/oneknock --name home --address server.example.org --service ssh=tcp/22\n"
    "  oneknock-keygen init --dir /etc/oneknock --name home --address 192.0.2.1 --service ssh=tcp/22 "
    "--service vpn=udp/51820";
constexpr const char* add_examples =
    "  oneknock-keygen add --dir /etc/oneknock laptop --allow ssh -o laptop.json\n"
    "  oneknock-keygen add --dir /etc/oneknock desk --allow ssh --expires 2027-01-31 -o - | ssh desk oneknock import -";
constexpr const char* rotate_examples =
    "  oneknock-keygen rotate --dir /etc/oneknock laptop -o laptop-2.json\n"
    "  oneknock-keygen rotate --dir /etc/oneknock --door --overlap 2w -o new-keys";
constexpr const char* list_examples =
    "  oneknock-keygen list --dir /etc/oneknock\n"
    "  oneknock-keygen list --dir /etc/oneknock --json";
constexpr const char* revoke_examples = "  oneknock-keygen revoke --dir /etc/oneknock laptop";

// One subcommand: its words fill `options`, and `command` becomes a copy of them once all are read.
template <class Options>
void add_command(CLI::App& app, std::optional<Command>& command, Options& options, const std::string& word,
                 const std::string& description, const std::string& examples) {
    CLI::App* const sub = app.add_subcommand(word, description);
    sub->footer("Examples:\n" + examples);
    declare(*sub, options);
    sub->callback([&command, &options] { command = options; });
}

ExitCode refuse(const CLI::App& app, const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    const std::string word = chosen.empty() ? "" : chosen.front()->get_name() + " ";
    log::error(error.what());
    if (word.empty()) log::info("the commands are init, add, rotate, list and revoke; options come after the command");
    log::info("see: oneknock-keygen " + word + "--help");
    return ExitCode::usage;
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
    CLI::App app("Makes and manages the keys of a door", "oneknock-keygen");
    set_help_form(
        app, "oneknock-keygen " ONEKNOCK_VERSION,
        "  oneknock-keygen init --dir /etc/oneknock --name home --address server.example.org --service ssh=tcp/22\n"
        "  oneknock-keygen add --dir /etc/oneknock laptop --allow ssh -o laptop.json");
    app.require_subcommand(0, 1);  // none is refused below, in better words than CLI11's
    CommandLine result;
    Init init;
    Add add;
    Rotate rotate;
    List list;
    Revoke revoke;
    add_command(app, result.command, init, "init", "Make a new door", init_examples);
    add_command(app, result.command, add, "add", "Add a client and write its key file", add_examples);
    add_command(app, result.command, rotate, "rotate", "Give a client, or the door, a new key", rotate_examples);
    add_command(app, result.command, list, "list", "List the clients and the state of their keys", list_examples);
    add_command(app, result.command, revoke, "revoke", "Revoke a client's keys", revoke_examples);
    try {
        app.parse(argc, argv);
        if (!result.command) throw CLI::RequiredError("a command");
    } catch (const CLI::Success& asked) {
        result.command.reset();
        const auto shown = show_help(app, asked);
        if (!shown) log::error(shown.error().message);
        result.exit = shown ? ExitCode::ok : shown.error().code;
    } catch (const CLI::ParseError& error) {
        result.command.reset();
        result.exit = refuse(app, error);
    }
    return result;
}

}  // namespace oneknock::keygen

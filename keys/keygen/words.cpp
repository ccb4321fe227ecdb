#include "keys/keygen/words.hpp"

#include <array>
#include <memory>

#include "keys/keygen/arguments.hpp"
#include "keys/keygen/examples.hpp"
#include "keys/keygen/folder/staged_key_file.hpp"

namespace oneknock::keygen {
namespace {

// An option whose text goes through `parse`; a refusal becomes one of CLI11's errors, which names the option.
template <class Text, class T, class Parsed>
CLI::Option* add_value(CLI::App& app, const std::string& names, T& value, Result<Parsed> (*parse)(const Text&),
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
    add_value(app, "--dir", folder, folder_argument, "DIR",
              std::string("Directory of the door (default: ") + default_folder + ")");
}

void add_client(CLI::App& app, std::string& client) {
    add_value(app, "CLIENT", client, name_argument, "", "The client's name")->required();
}

struct Defaults {
    const char *source, *max_duration, *expires;
};
template <class Source, class MaxDuration, class Expires>
void add_limits(CLI::App& app, Source& source, MaxDuration& max_duration, Expires& expires, const Defaults& defaults) {
    add_value(app, "--source", source, source_argument, "POLICY",
              std::string("Addresses that it may open for: same, observed, any or a network") + defaults.source);
    add_value(app, "--max-duration", max_duration, max_duration_argument, "TIME",
              std::string("Longest time that it may open for") + defaults.max_duration);
    add_value(app, "--expires", expires, date_argument, "DATE",
              std::string("Date on which the key expires, such as 2027-01-31, or never") + defaults.expires);
}

// Arguments rather than options: as many as there are.
template <class T>
void add_services(CLI::App& app, T& services, Result<T> (*parse)(const std::vector<std::string>&),
                  const std::string& name, const std::string& description) {
    add_value(app, name, services, parse, "", description)->required()->allow_extra_args()->expected(1, -1);
}

// What is sealed goes another way than its passphrase.
void require_file(const char* option, const std::string& path) {
    if (path == standard_output) throw CLI::ValidationError(option, "standard output is for the passphrase");
}

void add_page(CLI::App& app, std::string& output, Handout& handout) {
    const auto take = [&output, &handout](const std::string& path) {
        require_file("--page", path);
        handout.form = Handout::Form::page;
        output = path;
    };
    auto* const page = app.add_option_function<std::string>("--page", take, "New web page with the sealed key in it")
                           ->type_name("FILE");
    add_value(app, "--page-template", handout.page_template, path_argument, "FILE",
              "The page without a key (default: the one that was installed)")
        ->needs(page);
}

// CLI11 takes options in the order in which they are declared here: a picture overrides the terminal.
void add_code(CLI::App& app, std::string& output, Handout& handout) {
    const auto show = [&output, &handout](const std::string& path, Handout::Form form) {
        handout.form = form;
        output = path;
    };
    const auto on_terminal = [show] { show(std::string(standard_output), Handout::Form::code_on_terminal); };
    const auto in_picture = [show](const std::string& path) {
        require_file("--png", path);
        show(path, Handout::Form::picture_of_code);
    };
    auto* const code = app.add_flag_callback("--qr", on_terminal, "Show the sealed key as a QR code");
    app.add_option_function<std::string>("--png", in_picture, "New picture of the QR code, instead of showing it")
        ->type_name("FILE")
        ->needs(code);
    add_value(app, "--page-url", handout.page_url, page_url_argument, "URL",
              "Make the code a link to the page there, which takes the key out of it")
        ->needs(code);
}

CLI::Option* add_recipient(CLI::App& app, Handout& handout) {
    return add_value(app, "--for", handout.recipient, enrolment_argument, "STRING",
                     "Seal the key file for the client whose `oneknock enrol` printed this");
}

// A key file, in the clear or sealed, a page or a code: one of them.
void add_output(CLI::App& app, std::string& output, Handout& handout, const std::string& description) {
    auto* const file = add_value(app, "-o,--output", output, path_argument, "FILE", description);
    add_page(app, output, handout);
    add_code(app, output, handout);
    auto* const page = app.get_option("--page");
    auto* const code = app.get_option("--qr");
    page->excludes(file)->excludes(code);
    code->excludes(file);
    add_recipient(app, handout)->excludes(page)->excludes(code);
}

void require_output(const std::string& output) {
    if (output.empty()) throw CLI::RequiredError("--output, --page or --qr");
}

void add_json(CLI::App& app, bool& json) { app.add_flag("--json", json, "Print JSON instead of tables"); }

// What a door needs; what it may have besides follows.
std::array<CLI::Option*, 3> add_door(CLI::App& app, Init& init) {
    add_folder(app, init.folder);
    return {
        add_value(app, "--name", init.name, name_argument, "NAME", "The door's name"),
        add_value(app, "--address", init.address, host_argument, "HOST", "Host name or address that clients knock at"),
        add_value(app, "--service", init.services, services_argument, "NAME=PROTOCOL/PORT",
                  "Service that knocks open, such as ssh=tcp/22; may be repeated")};
}

void add_door_choices(CLI::App& app, Init& init) {
    add_value(app, "--span", init.span, span_argument, "SPAN", "Ports that knocks use (default: 1024-65535)");
    add_value(app, "--interface", init.interfaces, interfaces_argument, "IF",
              "Listen on this interface only; may be repeated (default: any)");
    add_value(app, "--state", init.state, state_argument, "DIR",
              std::string("State directory of the daemon (default: ") + default_state + ")");
    add_value(app, "--socket", init.socket, socket_argument, "PATH",
              std::string("Control socket of the daemon (default: ") + default_socket + ")");
    add_value(app, "--table", init.table, table_argument, "NAME",
              std::string("nftables table of the daemon (default: ") + default_table + ")");
}

void declare(CLI::App& app, Init& init) {
    for (CLI::Option* const needed : add_door(app, init)) needed->required();
    add_door_choices(app, init);
}

void declare(CLI::App& app, Setup& setup) {
    add_door(app, setup.door);
    add_value(app, "--client", setup.client, name_argument, "NAME", "The first client's name");
    add_value(app, "--source", setup.source, source_argument, "POLICY",
              "Addresses that it may open for: same, observed, any or a network (default: observed)");
    add_value(app, "--max-duration", setup.max_duration, max_duration_argument, "TIME",
              "Longest time that it may open for (default: 60s)");
    auto* const code = app.add_flag_callback(
        "--qr", [&setup] { setup.handout.form = Handout::Form::code_on_terminal; },
        "Show its sealed key as a QR code, instead of writing a key file");
    add_recipient(app, setup.handout)->excludes(code);
    add_value(app, "--try", setup.trial, trial_argument, "TIME", "Time to confirm the trial in (default: 2m)");
    add_door_choices(app, setup.door);
}

void declare(CLI::App& app, Add& add) {
    add_folder(app, add.folder);
    add_client(app, add.client);
    add_value(app, "--allow", add.allow, names_argument, "SERVICE", "Service that the client may open; may be repeated")
        ->required();
    add_limits(app, add.source, add.max_duration, add.expires,
               {" (default: same)", " (default: 60s)", " (default: never)"});
    add_output(app, add.output, add.handout, "New key file, or - for standard output");
    app.parse_complete_callback([&add] { require_output(add.output); });
}

void declare(CLI::App& app, Rotate& rotate) {
    add_folder(app, rotate.folder);
    auto* const client = add_value(app, "CLIENT", rotate.client, name_argument, "", "The client's name; or use --door");
    app.add_flag("--door", rotate.door, "Rotate the door's secret, with new key files for all clients")
        ->excludes(client);
    app.parse_complete_callback([&rotate] {
        if (rotate.client.empty() && !rotate.door) throw CLI::RequiredError("CLIENT or --door");
        require_output(rotate.output);
        if (rotate.door && rotate.handout.form == Handout::Form::page) throw CLI::ExcludesError("--door", "--page");
        if (rotate.door && rotate.handout.is_code()) throw CLI::ExcludesError("--door", "--qr");
        if (rotate.door && rotate.handout.recipient) throw CLI::ExcludesError("--door", "--for");
    });
    add_value(app, "--overlap", rotate.overlap, overlap_argument, "TIME",
              "Longest time that the old key stays valid (default: 7d)");
    add_output(app, rotate.output, rotate.handout,
               "New key file, or - for standard output; with --door, a new directory for the key files");
    app.add_flag("--force", rotate.force, "With --door, if two secrets are in force: end the older one now");
}

void declare(CLI::App& app, List& list) {
    add_folder(app, list.folder);
    add_json(app, list.json);
}

void declare(CLI::App& app, Show& show) {
    add_folder(app, show.folder);
    add_client(app, show.client);
    add_json(app, show.json);
}

void declare(CLI::App& app, Allow& allow) {
    add_folder(app, allow.folder);
    add_client(app, allow.client);
    add_services(app, allow.services, names_argument, "SERVICE",
                 "Names of services that the client may open from now on");
}

void declare(CLI::App& app, Deny& deny) {
    add_folder(app, deny.folder);
    add_client(app, deny.client);
    add_services(app, deny.services, names_argument, "SERVICE", "Names of services that the client may no longer open");
}

void declare(CLI::App& app, Limit& limit) {
    add_folder(app, limit.folder);
    add_client(app, limit.client);
    add_limits(app, limit.source, limit.max_duration, limit.expires, {"", "", ""});
    app.parse_complete_callback([&limit] {
        if (!limit.source && !limit.max_duration && !limit.expires)
            throw CLI::RequiredError("--source, --max-duration or --expires");
    });
}

void declare(CLI::App& app, Revoke& revoke) {
    add_folder(app, revoke.folder);
    add_client(app, revoke.client);
}

void declare(CLI::App& app, Unrevoke& unrevoke) {
    add_folder(app, unrevoke.folder);
    add_client(app, unrevoke.client);
}

void declare(CLI::App& app, ServiceAdd& add) {
    add_folder(app, add.folder);
    add_services(app, add.services, services_argument, "NAME=PROTOCOL/PORT",
                 "Services that knocks open, such as web=tcp/443");
}

void declare(CLI::App& app, ServiceRemove& remove) {
    add_folder(app, remove.folder);
    add_services(app, remove.services, names_argument, "SERVICE", "Names of the services");
}

void declare(CLI::App& app, ServiceList& list) {
    add_folder(app, list.folder);
    add_json(app, list.json);
}

// One subcommand: its words fill some options, and `command` becomes a copy of them once all are read.
template <class Options>
void add_command(CLI::App& app, std::optional<Command>& command, const std::string& word,
                 const std::string& description, const std::string& examples) {
    CLI::App* const sub = app.add_subcommand(word, description);
    sub->footer("Examples:\n" + examples);
    const auto options = std::make_shared<Options>();
    declare(*sub, *options);
    sub->callback([&command, options] { command = *options; });
}

void declare_services(CLI::App& app, std::optional<Command>& command) {
    CLI::App* const service = app.add_subcommand("service", "Add, remove or list the services of the door");
    service->footer(std::string("Examples:\n") + service_examples);
    service->require_subcommand(0, 1);  // none is refused in better words than CLI11's
    add_command<ServiceAdd>(*service, command, "add", "Add services to the door", service_add_examples);
    add_command<ServiceRemove>(*service, command, "remove", "Remove services from the door", service_remove_examples);
    add_command<ServiceList>(*service, command, "list", "List the services and who may open them",
                             service_list_examples);
}

}  // namespace

void declare_commands(CLI::App& app, std::optional<Command>& command) {
    add_command<Setup>(app, command, "setup", "Ask, make a door and a client, try them, and start the service",
                       setup_examples);
    add_command<Init>(app, command, "init", "Make a new door", init_examples);
    add_command<Add>(app, command, "add", "Add a client and write its key file", add_examples);
    add_command<Rotate>(app, command, "rotate", "Give a client, or the door, a new key", rotate_examples);
    add_command<List>(app, command, "list", "List the clients and the state of their keys", list_examples);
    add_command<Show>(app, command, "show", "Show what a client may do and the state of its keys", show_examples);
    add_command<Allow>(app, command, "allow", "Let a client open more services", allow_examples);
    add_command<Deny>(app, command, "deny", "Let a client open fewer services", deny_examples);
    add_command<Limit>(app, command, "limit", "Change a client's source policy, longest time or expiry",
                       limit_examples);
    add_command<Revoke>(app, command, "revoke", "Revoke a client's keys", revoke_examples);
    add_command<Unrevoke>(app, command, "unrevoke", "Let a revoked client in again", unrevoke_examples);
    declare_services(app, command);
}

}  // namespace oneknock::keygen

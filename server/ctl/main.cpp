// oneknockctl: asks the running daemon.
#include <algorithm>
#include <exception>
#include <string>

#include <unistd.h>
#include <CLI/CLI.hpp>

#include "common/ask_daemon.hpp"
#include "common/command_words.hpp"
#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/nearest_word.hpp"
#include "common/startup.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/ctl/show.hpp"

namespace {

using namespace oneknock;

struct Options {
    std::string socket = default_socket;
    std::string format = "text";
    std::string client;
    bool json = false, watch = false, all = false, strict = false;
    std::string question;
};

std::string read_format(const std::string& word) {
    const std::vector<std::string> formats{"text", "json", "prometheus"};
    if (std::ranges::find(formats, word) != formats.end()) return word;
    throw CLI::ValidationError("--format " + word, "must be text, json or prometheus" + did_you_mean(word, formats));
}

void describe(CLI::App& app, Options& options) {
    set_help_form(app, "oneknockctl " ONEKNOCK_VERSION, "  oneknockctl status --watch\n  oneknockctl revoke laptop");
    app.add_option("--socket", options.socket, "The daemon's control socket")->type_name("PATH")->capture_default_str();
    app.fallthrough();
    auto* status = app.add_subcommand("status", "Show what the daemon has seen and decided");
    auto* json = status->add_flag("--json", options.json, "Print JSON");
    status
        ->add_option_function<std::string>(
            "--format", [&options](const std::string& word) { options.format = read_format(word); },
            "Format: text, json or prometheus")
        ->type_name("FORMAT")
        ->excludes(json);
    status->add_flag("--watch", options.watch, "Repeat every second until interrupted");
    auto* grants = app.add_subcommand("grants", "List the open grants and their remaining times");
    grants->add_flag("--json", options.json, "Print JSON");
    auto* revoke =
        app.add_subcommand("revoke", "Close a client's grants now; its key stays valid (see oneknock-keygen revoke)");
    auto* name = revoke->add_option("CLIENT", options.client, "The client");
    revoke->add_flag("--all", options.all, "Close the grants of all clients")->excludes(name);
    auto* reload = app.add_subcommand("reload", "Read the key files again");
    reload->add_flag("--strict", options.strict, "Keep clients whose files are wrong out at once, not in 10 minutes");
    app.add_subcommand("confirm", "Keep the guard that was started with --try");
    status->callback([&] { options.question = "status"; });
    grants->callback([&] { options.question = "grants"; });
    revoke->callback([&] {
        if (options.client.empty() && !options.all) throw CLI::RequiredError("CLIENT or --all");
        options.question = "revoke " + (options.all ? std::string("--all") : options.client);
    });
    reload->callback([&] { options.question = options.strict ? "reload --strict" : "reload"; });
    app.get_subcommand("confirm")->callback([&] { options.question = "confirm"; });
}

std::string shown(const Options& options, const std::string& answer) {
    if (options.json || options.format == "json") return answer;
    if (options.question == "status")
        return options.format == "prometheus" ? status_prometheus(answer) : status_table(answer);
    if (options.question == "grants") return grants_table(answer);
    return options.question == "confirm" ? "confirmed: the guard stays\n" : "done\n";
}

// A hundred thousand clients' files take some seconds to read.
Seconds patience_for(const std::string& question) { return question.starts_with("reload") ? Seconds{60} : Seconds{5}; }

// What to print, or why not.
Result<std::string> ask_and_show(const Options& options) {
    const Seconds patience = patience_for(options.question);
    const auto answer = connect_to_daemon(options.socket, patience).and_then([&](const Descriptor& daemon) {
        return ask(daemon, options.socket, options.question, patience);
    });
    if (!answer) return answer;
    try {
        std::string refusal = refusal_in(*answer);
        if (refusal.empty() && options.question.starts_with("reload")) refusal = wrong_files_in(*answer);
        if (!refusal.empty()) return fail(ExitCode::data, refusal);
        return shown(options, *answer);
    } catch (const std::exception&) {
        return fail(ExitCode::data, unreadable_answer);
    }
}

Result<void> run(const Options& options) {
    const std::string clear = options.watch && isatty(STDOUT_FILENO) != 0 ? "\033[H\033[2J" : "";
    for (;;) {
        const auto text = ask_and_show(options);
        if (!text) return tl::unexpected(text.error());
        if (const auto written = write_standard_output(as_bytes(clear + *text)); !written || !options.watch)
            return written;
        sleep(1);
    }
}

int report(const Result<void>& result) {
    if (result) return static_cast<int>(ExitCode::ok);
    log::error(result.error().message);
    return static_cast<int>(result.error().code);
}

}  // namespace

int main(int argc, char** argv) {
    prepare_process();
    log::name_program("oneknockctl");
    Options options;
    CLI::App app("Controls a running oneknockd", "oneknockctl");
    describe(app, options);
    const auto text = parse_words(app, {argv + 1, argv + argc});
    if (!text) return report(tl::unexpected(text.error()));
    return report(*text ? write_standard_output(as_bytes(**text)) : run(options));
}

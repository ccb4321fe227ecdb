#include "keys/keygen/command_line.hpp"

#include <CLI/CLI.hpp>

#include "common/log.hpp"
#include "common/show_help.hpp"
#include "common/text.hpp"
#include "keys/keygen/words.hpp"

namespace oneknock::keygen {
namespace {

ExitCode refuse(const CLI::App& app, const CLI::ParseError& error) {
    std::string words;
    const CLI::App* command = &app;
    for (auto chosen = app.get_subcommands(); !chosen.empty(); chosen = command->get_subcommands()) {
        command = chosen.front();
        words += command->get_name() + " ";
    }
    log::error(error.what());
    if (const auto commands = command->get_subcommands({}); !commands.empty())
        log::info("the commands" + (words.empty() ? " " : " of " + words) + "are " +
                  join(commands, &CLI::App::get_name) + "; options come after the command");
    log::info("see: oneknock-keygen " + words + "--help");
    return ExitCode::usage;
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
    CLI::App app("Makes and manages the keys of a door", "oneknock-keygen");
    set_help_form(app, "oneknock-keygen " ONEKNOCK_VERSION,
                  "  oneknock-keygen init --name home --address server.example.org --service ssh=tcp/22\n"
                  "  oneknock-keygen add laptop --allow ssh -o laptop.json");
    app.require_subcommand(0, 1);  // none is refused below, in better words than CLI11's
    CommandLine result;
    declare_commands(app, result.command);
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

#include "keys/keygen/command_line.hpp"

#include <CLI/CLI.hpp>

#include "common/command_words.hpp"
#include "keys/keygen/words.hpp"

namespace oneknock::keygen {

Result<std::variant<std::string, Command>> parse_command_line(std::vector<std::string> words) {
    CLI::App app("Makes and manages the keys of a door", "oneknock-keygen");
    set_help_form(app, "oneknock-keygen " ONEKNOCK_VERSION,
                  "  oneknock-keygen init --name home --address server.example.org --service ssh=tcp/22\n"
                  "  oneknock-keygen add laptop --allow ssh -o laptop.json");
    std::optional<Command> command;
    declare_commands(app, command);
    auto text = parse_words(app, std::move(words));
    if (!text) return tl::unexpected(text.error());
    if (*text) return **std::move(text);
    return *std::move(command);
}

}  // namespace oneknock::keygen

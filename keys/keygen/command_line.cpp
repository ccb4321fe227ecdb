#include "keys/keygen/command_line.hpp"

#include <CLI/CLI.hpp>

#include "common/command_words.hpp"
#include "common/secret.hpp"
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/keygen/words.hpp"
#include "keys/offered_names.hpp"

namespace oneknock::keygen {
namespace {

std::vector<std::string> values_of(const std::string& place, const TypedWords& before) {
    const auto given = before.options.find("--dir");
    const DoorFolder folder(given == before.options.end() ? default_folder : given->second);
    if (place == "CLIENT") return offered_clients(folder.clients());
    if (place == "POLICY") return {"same", "observed", "any"};
    if (place != "SERVICE") return {};
    initialise_crypto();
    return offered_services(folder.door());
}

}  // namespace

Result<std::variant<std::string, Command>> parse_command_line(std::vector<std::string> words) {
    CLI::App app("Makes and manages the keys of a door", "oneknock-keygen");
    set_help_form(app, "oneknock-keygen " ONEKNOCK_VERSION,
                  "  oneknock-keygen setup\n"
                  "  oneknock-keygen init --name home --address server.example.org \\\n      --service ssh=tcp/22\n"
                  "  oneknock-keygen add laptop --allow ssh -o laptop.json");
    std::optional<Command> command;
    declare_commands(app, command);
    auto text = parse_words(app, std::move(words), values_of);
    if (!text) return tl::unexpected(text.error());
    if (*text) return **std::move(text);
    return *std::move(command);
}

}  // namespace oneknock::keygen

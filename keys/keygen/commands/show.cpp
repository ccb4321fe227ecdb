#include "common/fd.hpp"
#include "common/text.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/shown.hpp"

namespace oneknock::keygen {
namespace {

std::string services_of(const Client& client, const Door& door) {
    if (client.allow.empty()) return "nothing";
    return join(client.allow,
                [&](const std::string& name) { return name + " (" + door.services.at(name).text() + ")"; });
}

std::string text(const Overview& overview, const Door& door) {
    const ClientView& view = overview.clients.front();
    const Client& client = *view.client;
    std::vector<Row> rows{{"Client:", client.name},
                          {"Door:", door.name},
                          {"Status:", text_of(view.status)},
                          {"May open:", services_of(client, door)},
                          {"For addresses:", client.source.text()},
                          {"At most for:", duration_text(client.max_duration)},
                          {"Expires:", time_or(client.expires, "never")},
                          {"Door generation:", last_door_generation(overview, view)}};
    std::vector<Row> generations{{"GENERATION", "VALID FROM", "VALID UNTIL", "LAST USED", "STATUS"}};
    for (const GenerationView& generation : view.generations)
        generations.push_back({std::to_string(generation.number), time_text(generation.not_before),
                               time_or(generation.ends, "never"), last_use(generation, overview.knows_uses),
                               text_of(generation.status)});
    return table(rows) + "\n" + table(generations);
}

SecretBytes document(const Overview& overview, const Door& door) {
    JsonWriter writer;
    write_door(writer, overview, door);
    write_client(writer, overview.clients.front());
    return std::move(writer).finish();
}

}  // namespace

Result<void> run(const Show& command) {
    const DoorFolder folder(command.folder);
    auto door = folder.read_door();
    if (!door) return tl::unexpected(door.error());
    auto client = folder.read_client_of(*door, command.client);
    if (!client) return tl::unexpected(client.error());
    Keyring keyring{std::move(*door), {}};
    keyring.clients.push_back(std::move(*client));
    const auto overview = overview_of(folder, keyring);
    if (!overview) return tl::unexpected(overview.error());
    if (command.json) return write_standard_output(document(*overview, keyring.door).bytes());
    return write_standard_output(as_bytes(text(*overview, keyring.door)));
}

}  // namespace oneknock::keygen

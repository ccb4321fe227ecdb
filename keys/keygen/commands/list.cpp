#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/shown.hpp"

namespace oneknock::keygen {
namespace {

// A row for each generation of each client.
void add_rows(std::vector<Row>& rows, const Overview& overview, const ClientView& view) {
    const Client& client = *view.client;
    for (const GenerationView& generation : view.generations)
        rows.push_back({client.name, std::to_string(generation.number), join(client.allow, {}, ","),
                        client.source.text(), duration_text(client.max_duration), time_text(generation.not_before),
                        time_or(earlier(generation.ends, client.expires), "never"),
                        last_use(generation, overview.knows_uses), last_door_generation(overview, view),
                        text_of(view.status == Status::valid ? generation.status : view.status)});
}

std::string tables(const Overview& overview, const Door& door) {
    std::vector<Row> clients{{"CLIENT", "GENERATION", "SERVICES", "SOURCE", "MAX", "VALID FROM", "VALID UNTIL",
                              "LAST USED", "DOOR GENERATION", "STATUS"}};
    for (const ClientView& client : overview.clients) add_rows(clients, overview, client);
    std::vector<Row> generations{{"DOOR", "GENERATION", "VALID FROM", "VALID UNTIL", "LAST USED", "STATUS"}};
    for (const GenerationView& generation : overview.door)
        generations.push_back({door.name, std::to_string(generation.number), time_text(generation.not_before),
                               time_or(generation.ends, "never"), last_use(generation, overview.knows_door_uses),
                               text_of(generation.status)});
    return table(clients) + "\n" + table(generations);
}

SecretBytes document(const Overview& overview, const Door& door) {
    JsonWriter writer;
    write_door(writer, overview, door);
    write_generations(writer, "door_generations", overview.door);
    writer.begin_array("clients");
    for (const ClientView& client : overview.clients) {
        writer.begin_object();
        write_client(writer, client);
        writer.end();
    }
    return std::move(writer).finish();
}

}  // namespace

Result<void> run(const List& command) {
    const DoorFolder folder(command.folder);
    const auto found = folder.read_what_is_right();
    if (!found) return tl::unexpected(found.error());
    const Keyring& keyring = found->keyring;
    const auto overview = overview_of(folder, keyring);
    if (!overview) return tl::unexpected(overview.error());
    const auto printed = command.json ? write_standard_output(document(*overview, keyring.door).bytes())
                                      : write_standard_output(as_bytes(tables(*overview, keyring.door)));
    return printed.and_then([&] { return found->verdict(); });
}

}  // namespace oneknock::keygen

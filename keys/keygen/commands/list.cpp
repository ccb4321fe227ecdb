#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/config/daemon_config.hpp"
#include "keys/json_writer.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/keygen/folder/overview.hpp"

namespace oneknock::keygen {
namespace {

using Row = std::vector<std::string>;

std::string time_or(const std::optional<UnixTime>& time, const std::string& otherwise) {
    return time ? time_text(*time) : otherwise;
}

// The earlier of two ends; nothing is no end.
std::optional<UnixTime> earlier(const std::optional<UnixTime>& a, const std::optional<UnixTime>& b) {
    return a && b ? std::min(a, b) : a ? a : b;
}

std::string used(const GenerationView& generation, bool known) {
    return time_or(generation.last_used, known ? "never" : "unknown");
}

// A row for each generation of each client.
void add_rows(std::vector<Row>& rows, const Overview& overview, const ClientView& view) {
    const Client& client = *view.client;
    const std::string door = view.door_generation       ? std::to_string(*view.door_generation)
                             : overview.knows_door_uses ? "never"
                                                        : "unknown";
    for (const GenerationView& generation : view.generations)
        rows.push_back({client.name, std::to_string(generation.number), join(client.allow, {}, ","),
                        client.source.text(), duration_text(client.max_duration), time_text(generation.not_before),
                        time_or(earlier(generation.ends, client.expires), "never"),
                        used(generation, overview.knows_uses), door,
                        text_of(view.status == Status::valid ? generation.status : view.status)});
}

std::string tables(const Overview& overview, const Door& door) {
    std::vector<Row> clients{{"CLIENT", "GENERATION", "SERVICES", "SOURCE", "MAX", "VALID FROM", "VALID UNTIL",
                              "LAST USED", "DOOR GENERATION", "STATUS"}};
    for (const ClientView& client : overview.clients) add_rows(clients, overview, client);
    std::vector<Row> generations{{"DOOR", "GENERATION", "VALID FROM", "VALID UNTIL", "LAST USED", "STATUS"}};
    for (const GenerationView& generation : overview.door)
        generations.push_back({door.name, std::to_string(generation.number), time_text(generation.not_before),
                               time_or(generation.ends, "never"), used(generation, overview.knows_door_uses),
                               text_of(generation.status)});
    return table(clients) + "\n" + table(generations);
}

void write_generations(JsonWriter& writer, std::string_view name, const std::vector<GenerationView>& generations) {
    writer.begin_array(name);
    for (const GenerationView& generation : generations) {
        writer.begin_object();
        writer.integer("generation", generation.number);
        writer.time("not_before", generation.not_before);
        writer.time_or_null("not_after", generation.not_after);
        writer.time_or_null("ends", generation.ends);
        writer.time_or_null("last_used", generation.last_used);
        writer.string("status", text_of(generation.status));
        writer.end();
    }
    writer.end();
}

void write_client(JsonWriter& writer, const ClientView& view) {
    const Client& client = *view.client;
    writer.begin_object();
    writer.string("client", client.name);
    writer.integer("generation", client.generations.back().number);
    writer.strings("services", client.allow);
    writer.string("source", client.source.text());
    writer.integer("max_duration_s", client.max_duration.count());
    writer.boolean("revoked", client.revoked);
    writer.time_or_null("expires", client.expires);
    writer.string("status", text_of(view.status));
    if (view.door_generation) writer.integer("door_generation", *view.door_generation);
    else writer.null("door_generation");
    write_generations(writer, "generations", view.generations);
    writer.end();
}

SecretBytes document(const Overview& overview, const Door& door) {
    JsonWriter writer;
    writer.integer("schema", 1);
    writer.string("door", door.name);
    writer.boolean("knows_uses", overview.knows_uses);
    writer.boolean("knows_door_uses", overview.knows_door_uses);
    write_generations(writer, "door_generations", overview.door);
    writer.begin_array("clients");
    for (const ClientView& client : overview.clients) write_client(writer, client);
    return std::move(writer).finish();
}

// The overview without an audit is better than none.
std::optional<AuditReader> open_audit(const Result<DaemonConfig>& config) {
    auto audit = config ? AuditReader::open(config->state) : tl::unexpected(config.error());
    if (audit) return std::move(*audit);
    log::warning(audit.error().message + "; when keys were last used is unknown");
    return std::nullopt;
}

}  // namespace

Result<void> run(const List& command) {
    const DoorFolder folder(command.folder);
    const auto keyring = folder.read_keyring();
    if (!keyring) return tl::unexpected(keyring.error());
    const auto config = read_daemon_config(folder.config());
    auto audit = open_audit(config);  // from here on this process is nobody's but the audit's
    const Grace grace = config ? config->rotation_grace : std::nullopt;
    const auto overview = make_overview(*keyring, audit ? &*audit : nullptr, grace, read_clocks().wall);
    if (!overview) return tl::unexpected(overview.error());
    if (command.json) return write_standard_output(document(*overview, keyring->door).bytes());
    return write_standard_output(as_bytes(tables(*overview, keyring->door)));
}

}  // namespace oneknock::keygen

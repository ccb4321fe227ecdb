#include "keys/keygen/commands/shown.hpp"

#include "common/log.hpp"
#include "keys/config/daemon_config.hpp"

namespace oneknock::keygen {
namespace {

// The overview without an audit is better than none.
std::optional<AuditReader> open_audit(const Result<DaemonConfig>& config) {
    auto audit = config ? AuditReader::open(config->state) : tl::unexpected(config.error());
    if (audit) return std::move(*audit);
    log::warning(audit.error().message + "; when keys were last used is unknown");
    return std::nullopt;
}

}  // namespace

std::string time_or(const std::optional<UnixTime>& time, const std::string& otherwise) {
    return time ? time_text(*time) : otherwise;
}

std::optional<UnixTime> earlier(const std::optional<UnixTime>& one, const std::optional<UnixTime>& other) {
    return one && other ? std::min(one, other) : one ? one : other;
}

std::string last_use(const GenerationView& generation, bool known) {
    return time_or(generation.last_used, known ? "never" : "unknown");
}

std::string last_door_generation(const Overview& overview, const ClientView& view) {
    if (view.door_generation) return std::to_string(*view.door_generation);
    return overview.knows_door_uses ? "never" : "unknown";
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

void write_door(JsonWriter& writer, const Overview& overview, const Door& door) {
    writer.integer("schema", 1);
    writer.string("door", door.name);
    writer.string("door_id", to_hex(door.id.bytes));
    writer.boolean("knows_uses", overview.knows_uses);
    writer.boolean("knows_door_uses", overview.knows_door_uses);
}

void write_client(JsonWriter& writer, const ClientView& view) {
    const Client& client = *view.client;
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
}

Result<Overview> overview_of(const DoorFolder& folder, const Keyring& keyring) {
    const auto config = read_daemon_config(folder.config());
    auto audit = open_audit(config);  // from here on this process is nobody's but the audit's
    const Grace grace = config ? config->rotation_grace : std::nullopt;
    return make_overview(keyring, audit ? &*audit : nullptr, grace, read_clocks().wall);
}

}  // namespace oneknock::keygen

#include <algorithm>
#include <array>

#include "common/files.hpp"
#include "keys/json_writer.hpp"
#include "keys/keygen/commands.hpp"
#include "keys/keygen/door_folder.hpp"
#include "keys/keygen/output.hpp"

namespace oneknock::keygen {
namespace {

constexpr std::size_t columns = 8;
using Row = std::array<std::string, columns>;

std::string status(const Client& client, UnixTime now) {
    if (client.revoked) return "revoked";
    const auto is_past = [now](const std::optional<UnixTime>& end) { return end && *end <= now; };
    if (is_past(client.expires)) return "expired";
    return std::ranges::all_of(client.generations, is_past, &Generation::not_after) ? "expired" : "valid";
}

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
    return all;
}

Row make_row(const Client& client, UnixTime now) {
    const Generation& newest = client.generations.back();
    return {client.name,
            std::to_string(newest.number),
            joined(client.allow),
            client.source.text(),
            duration_text(client.max_duration),
            time_text(newest.not_before),
            client.expires ? time_text(*client.expires) : "never",
            status(client, now)};
}

std::string table(const Keyring& keyring, UnixTime now) {
    std::vector<Row> rows{{"CLIENT", "GENERATION", "SERVICES", "SOURCE", "MAX", "VALID FROM", "EXPIRES", "STATUS"}};
    for (const Client& client : keyring.clients) rows.push_back(make_row(client, now));
    std::array<std::size_t, columns> widths{};
    for (const Row& row : rows)
        for (std::size_t i = 0; i < columns; ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (const Row& row : rows) {
        for (std::size_t i = 0; i + 1 < columns; ++i) text += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
        text += row.back() + "\n";
    }
    return text;
}

void write_client(JsonWriter& writer, const Client& client, UnixTime now) {
    writer.begin_object();
    writer.string("client", client.name);
    writer.integer("generation", client.generations.back().number);
    writer.strings("services", client.allow);
    writer.string("source", client.source.text());
    writer.integer("max_duration_s", client.max_duration.count());
    writer.boolean("revoked", client.revoked);
    writer.time_or_null("expires", client.expires);
    writer.string("status", status(client, now));
    writer.begin_array("generations");
    for (const Generation& generation : client.generations) {
        writer.begin_object();
        writer.integer("generation", generation.number);
        writer.time("not_before", generation.not_before);
        writer.time_or_null("not_after", generation.not_after);
        writer.end();
    }
    writer.end();
    writer.end();
}

SecretBytes document(const Keyring& keyring, UnixTime now) {
    JsonWriter writer;
    writer.integer("schema", 1);
    writer.string("door", keyring.door.name);
    writer.begin_array("clients");
    for (const Client& client : keyring.clients) write_client(writer, client, now);
    return std::move(writer).finish();
}

}  // namespace

Result<void> run(const List& command) {
    const DoorFolder folder(command.folder);
    const auto keyring = load_keyring(folder.door(), folder.clients());
    if (!keyring) return tl::unexpected(keyring.error());
    const UnixTime now = read_clocks().wall;
    if (command.json) return write_standard_output(document(*keyring, now).bytes());
    return write_standard_output(as_bytes(table(*keyring, now)));
}

}  // namespace oneknock::keygen

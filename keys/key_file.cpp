#include "keys/key_file.hpp"

#include "common/files.hpp"
#include "common/json.hpp"
#include "keys/fields.hpp"
#include "keys/json_writer.hpp"

namespace oneknock {
namespace {

KeyFile::Door read_door(json::Context& context, const json::Value& value) {
    json::Object object(context, value, "door");
    KeyFile::Door door;
    door.name = fields::name(object, "name");
    door.address = fields::host(object, "address");
    door.id = fields::door_id(object, "id");
    door.span = fields::span(object, "span");
    door.secret = object.secret("secret");
    door.generation = fields::generation(object, "generation");
    object.finish();
    return door;
}

KeyFile::Client read_client(json::Context& context, const json::Value& value) {
    json::Object object(context, value, "client");
    KeyFile::Client client;
    client.name = fields::name(object, "name");
    client.secret = object.secret("secret");
    client.generation = fields::generation(object, "generation");
    client.source = fields::source(object, "source");
    client.max_duration = fields::duration(object, "max_duration", fields::max_duration_rule);
    object.finish();
    return client;
}

}  // namespace

Result<KeyFile> parse_key_file(std::string_view text, const std::string& name) {
    const auto root = json::parse(text, name);
    if (!root) return tl::unexpected(root.error());
    json::Context context(name);
    json::Object object(context, *root);
    object.header("client-key");
    KeyFile key;
    if (const auto* door = object.object("door")) key.door = read_door(context, *door);
    if (const auto* client = object.object("client")) key.client = read_client(context, *client);
    key.services = fields::services(context, object, "services");
    key.created = fields::time(object, "created");
    key.expires = fields::optional_time(object, "expires");
    object.finish();
    if (context.failed()) return tl::unexpected(*context.error());
    return key;
}

Result<KeyFile> read_key_file(const std::string& path) {
    const auto text = read_private_file(path);
    if (!text) return tl::unexpected(text.error());
    return parse_key_file(text->text(), path);
}

SecretBytes key_file_text(const KeyFile& key) {
    JsonWriter writer;
    writer.string("oneknock", "client-key");
    writer.integer("version", 1);
    writer.begin_object("door");
    writer.string("name", key.door.name);
    writer.string("address", key.door.address);
    writer.string("id", to_hex(key.door.id.bytes));
    writer.string("span", key.door.span.text());
    writer.secret("secret", key.door.secret);
    writer.integer("generation", key.door.generation);
    writer.end();
    writer.begin_object("client");
    writer.string("name", key.client.name);
    writer.secret("secret", key.client.secret);
    writer.integer("generation", key.client.generation);
    writer.string("source", key.client.source.text());
    writer.duration("max_duration", key.client.max_duration);
    writer.end();
    writer.begin_object("services");
    for (const auto& [name, service] : key.services) writer.string(name, service.text());
    writer.end();
    writer.time("created", key.created);
    writer.time_or_null("expires", key.expires);
    return std::move(writer).finish();
}

}  // namespace oneknock

#include "keys/key_file.hpp"

#include "common/files.hpp"
#include "common/json.hpp"
#include "keys/fields.hpp"
#include "keys/json_writer.hpp"

namespace oneknock {
namespace {

constexpr std::string_view open_kind = "client-key";

enum class Secrets : std::uint8_t { in_place, locked };

KeyFile::Door read_door(json::Context& context, const json::Value& value, Secrets secrets) {
    json::Object object(context, value, "door");
    KeyFile::Door door;
    door.name = fields::name(object, "name");
    door.address = fields::host(object, "address");
    door.id = fields::door_id(object, "id");
    door.span = fields::span(object, "span");
    if (secrets == Secrets::in_place) door.secret = object.secret("secret");
    door.generation = fields::generation(object, "generation");
    object.finish();
    return door;
}

KeyFile::Client read_client(json::Context& context, const json::Value& value, Secrets secrets) {
    json::Object object(context, value, "client");
    KeyFile::Client client;
    client.name = fields::name(object, "name");
    if (secrets == Secrets::in_place) client.secret = object.secret("secret");
    client.generation = fields::generation(object, "generation");
    client.source = fields::source(object, "source");
    client.max_duration = fields::duration(object, "max_duration", fields::max_duration_rule);
    object.finish();
    return client;
}

KeyFile read_members(json::Context& context, json::Object& object, Secrets secrets) {
    KeyFile key;
    if (const auto* door = object.object("door")) key.door = read_door(context, *door, secrets);
    if (const auto* client = object.object("client")) key.client = read_client(context, *client, secrets);
    key.services = fields::services(context, object, "services");
    key.created = fields::time(object, "created");
    key.expires = fields::optional_time(object, "expires");
    return key;
}

void read_hex(json::Object& object, std::string_view field, std::span<std::uint8_t> to) {
    if (!from_hex(object.string(field), to))
        object.complain(field, "must be " + std::to_string(2 * to.size()) + " hexadecimal digits");
}

// What a file from elsewhere may make this machine do: a few seconds and 4 GiB at most.
KeyEncryption read_lock(json::Context& context, const json::Value& value) {
    json::Object object(context, value, "lock");
    KeyEncryption lock;
    if (object.string("algorithm") != lock_algorithm)
        object.complain("algorithm", "must be \"" + std::string(lock_algorithm) +
                                         "\"; if the file is from a newer version, update oneknock");
    lock.operations = static_cast<std::uint32_t>(object.integer("operations", 1, 64));
    lock.memory = static_cast<std::uint64_t>(object.integer("memory_kib", 8, 4 * 1024 * 1024)) * 1024;
    read_hex(object, "salt", lock.salt);
    read_hex(object, "sealed", lock.sealed);
    object.finish();
    return lock;
}

void write_members(JsonWriter& writer, const KeyFile& key, Secrets secrets) {
    writer.integer("version", 1);
    writer.begin_object("door");
    writer.string("name", key.door.name);
    writer.string("address", key.door.address);
    writer.string("id", to_hex(key.door.id.bytes));
    writer.string("span", key.door.span.text());
    if (secrets == Secrets::in_place) writer.secret("secret", key.door.secret);
    writer.integer("generation", key.door.generation);
    writer.end();
    writer.begin_object("client");
    writer.string("name", key.client.name);
    if (secrets == Secrets::in_place) writer.secret("secret", key.client.secret);
    writer.integer("generation", key.client.generation);
    writer.string("source", key.client.source.text());
    writer.duration("max_duration", key.client.max_duration);
    writer.end();
    writer.begin_object("services");
    for (const auto& [name, service] : key.services) writer.string(name, service.text());
    writer.end();
    writer.time("created", key.created);
    writer.time_or_null("expires", key.expires);
}

SecretBytes locked_key_text(const EncryptedKey& locked) {
    JsonWriter writer;
    writer.string("oneknock", locked_kind);
    write_members(writer, locked.key, Secrets::locked);
    writer.begin_object("lock");
    writer.string("algorithm", lock_algorithm);
    writer.integer("operations", locked.lock.operations);
    writer.integer("memory_kib", static_cast<std::int64_t>(locked.lock.memory / 1024));
    writer.string("salt", to_hex(locked.lock.salt));
    writer.string("sealed", to_hex(locked.lock.sealed));
    writer.end();
    return std::move(writer).finish();
}

bool is_of_locked_kind(const json::Value& root) {
    for (const json::Member& member : root.members)
        if (member.name == "oneknock") return member.value.text == locked_kind;
    return false;
}

Result<KeyFile> read_open(const json::Value& root, const std::string& name) {
    json::Context context(name);
    json::Object object(context, root);
    object.header(open_kind);
    KeyFile key = read_members(context, object, Secrets::in_place);
    object.finish();
    if (context.failed()) return tl::unexpected(*context.error());
    return key;
}

Result<EncryptedKey> read_locked(const json::Value& root, const std::string& name) {
    json::Context context(name);
    json::Object object(context, root);
    object.header(locked_kind);
    EncryptedKey locked{read_members(context, object, Secrets::locked), {}};
    if (const auto* lock = object.object("lock")) locked.lock = read_lock(context, *lock);
    object.finish();
    if (context.failed()) return tl::unexpected(*context.error());
    return locked;
}

}  // namespace

Result<KeyFile> parse_key_file(std::string_view text, const std::string& name) {
    const auto root = json::parse(text, name);
    if (!root) return tl::unexpected(root.error());
    return read_open(*root, name);
}

Result<KeyFile> read_key_file(const std::string& path) {
    const auto text = read_private_file(path);
    if (!text) return tl::unexpected(text.error());
    return parse_key_file(text->text(), path);
}

SecretBytes key_file_text(const KeyFile& key) {
    JsonWriter writer;
    writer.string("oneknock", open_kind);
    write_members(writer, key, Secrets::in_place);
    return std::move(writer).finish();
}

Result<StoredKey> parse_stored_key(std::string_view text, const std::string& name) {
    const auto root = json::parse(text, name);
    if (!root) return tl::unexpected(root.error());
    const auto store = [](auto&& key) { return StoredKey{std::forward<decltype(key)>(key)}; };
    return is_of_locked_kind(*root) ? read_locked(*root, name).map(store) : read_open(*root, name).map(store);
}

Result<StoredKey> read_stored_key(const std::string& path) {
    const auto text = read_private_file(path);
    if (!text) return tl::unexpected(text.error());
    return parse_stored_key(text->text(), path);
}

SecretBytes stored_key_text(const StoredKey& stored) {
    const auto* locked = std::get_if<EncryptedKey>(&stored);
    return locked != nullptr ? locked_key_text(*locked) : key_file_text(std::get<KeyFile>(stored));
}

const KeyFile& clear_part(const StoredKey& stored) {
    const auto* locked = std::get_if<EncryptedKey>(&stored);
    return locked != nullptr ? locked->key : std::get<KeyFile>(stored);
}

}  // namespace oneknock

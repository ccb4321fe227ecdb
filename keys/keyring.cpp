#include "keys/keyring.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/files.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "common/text.hpp"
#include "keys/fields.hpp"
#include "keys/json_writer.hpp"
#include "keys/names.hpp"
#include "keys/shared_keys.hpp"

namespace oneknock {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> read_allow(json::Context& context, json::Object& object) {
    std::vector<std::string> allow;
    const json::Value* list = object.array("allow");
    if (list == nullptr) return allow;
    for (const json::Value& item : list->items) {
        if (item.kind != json::Value::Kind::string || !is_valid_name(item.text))
            context.complain(item.line, "allow", "must be a list of service names");
        if (std::ranges::find(allow, item.text) != allow.end())
            context.complain(item.line, "allow", json::quote(item.text) + " appears twice; remove one");
        if (context.failed()) break;
        allow.push_back(item.text);
    }
    return allow;
}

constexpr std::string_view generations_field = "generations";

Generation read_generation(json::Context& context, const json::Value& value, const std::string& path) {
    json::Object object(context, value, path);
    Generation generation;
    generation.number = fields::generation(object, "generation");
    generation.secret = object.secret("secret");
    generation.not_before = fields::time(object, "not_before");
    generation.not_after = fields::optional_time(object, "not_after");
    if (generation.not_after && *generation.not_after <= generation.not_before)
        object.complain("not_after", "must be null or later than not_before");
    object.finish();
    return generation;
}

std::vector<Generation> read_generations(json::Context& context, json::Object& object) {
    std::vector<Generation> generations;
    const json::Value* list = object.array(generations_field);
    if (list == nullptr) return generations;
    if (list->items.empty()) object.complain(generations_field, "must have at least one generation");
    for (const json::Value& item : list->items) {
        const std::string path = std::string(generations_field) + "[" + std::to_string(generations.size()) + "]";
        Generation generation = read_generation(context, item, path);
        if (!generations.empty() && generation.number <= generations.back().number)
            context.complain(item.line, path + ".generation", "must be greater than the one before");
        if (context.failed()) break;
        generations.push_back(std::move(generation));
    }
    return generations;
}

bool is_equal_generation(const Generation& a, const Generation& b) {
    return a.number == b.number && a.secret.equals(b.secret) && a.not_before == b.not_before &&
           a.not_after == b.not_after;
}

void write_generations(JsonWriter& writer, const std::vector<Generation>& generations) {
    writer.begin_array(generations_field);
    for (const Generation& generation : generations) {
        writer.begin_object();
        writer.integer("generation", generation.number);
        writer.secret("secret", generation.secret);
        writer.time("not_before", generation.not_before);
        writer.time_or_null("not_after", generation.not_after);
        writer.end();
    }
    writer.end();
}

Result<Client> load_client(const std::string& path, const Door& door) {
    const auto text = read_private_file(path);
    if (!text) return tl::unexpected(text.error());
    auto client = parse_client(text->text(), path);
    if (!client) return client;
    if (const auto checked = check_client(*client, door, path); !checked) return tl::unexpected(checked.error());
    return client;
}

}  // namespace

Result<Door> parse_door(std::string_view text, const std::string& name) {
    const auto root = json::parse(text, name);
    if (!root) return tl::unexpected(root.error());
    json::Context context(name);
    json::Object object(context, *root);
    object.header("door");
    Door door;
    door.name = fields::name(object, "name");
    door.address = fields::host(object, "address");
    door.id = fields::door_id(object, "id");
    door.span = fields::span(object, "span");
    door.services = fields::services(context, object, "services");
    if (door.services.size() > most_services)
        object.complain("services", "has more than " + std::to_string(most_services) + " services; remove some");
    door.generations = read_generations(context, object);
    object.finish();
    if (context.failed()) return tl::unexpected(*context.error());
    return door;
}

Result<Client> parse_client(std::string_view text, const std::string& name) {
    const auto root = json::parse(text, name);
    if (!root) return tl::unexpected(root.error());
    json::Context context(name);
    json::Object object(context, *root);
    object.header("client");
    Client client;
    client.name = fields::name(object, "name");
    client.allow = read_allow(context, object);
    client.source = fields::source(object, "source");
    client.max_duration = fields::duration(object, "max_duration", fields::max_duration_rule);
    object.null("connections");  // reserved for "one connection per knock"
    client.revoked = fields::flag(object, "revoked");
    client.expires = fields::optional_time(object, "expires");
    client.generations = read_generations(context, object);
    object.finish();
    if (context.failed()) return tl::unexpected(*context.error());
    return client;
}

// Else two files could hold clients of one name, and `revoke NAME` would not find the one it means.
Result<void> check_file_name(const Client& client, const std::string& file) {
    if (fs::path(file).filename() != client.name + ".json")
        return fail(ExitCode::data, printable(file) + ": this is the file of client " + json::quote(client.name) +
                                        "; rename the file to " + client.name + ".json or correct its field \"name\"");
    return {};
}

Result<void> check_services(const Client& client, const Door& door, const std::string& file) {
    for (const std::string& service : client.allow)
        if (!door.services.contains(service))
            return fail(ExitCode::data, printable(file) + ": field \"allow\": the door has no service " +
                                            json::quote(service) + "; it has " + service_names(door.services));
    return {};
}

Result<void> check_client(const Client& client, const Door& door, const std::string& file) {
    return check_file_name(client, file).and_then([&] { return check_services(client, door, file); });
}

bool is_equal(const Door& one, const Door& other) {
    return one.name == other.name && one.address == other.address && one.id == other.id &&
           one.span.text() == other.span.text() && one.services == other.services &&
           std::ranges::equal(one.generations, other.generations, is_equal_generation);
}

bool has_equal_policy(const Client& one, const Client& other) {
    return one.allow == other.allow && one.source == other.source && one.max_duration == other.max_duration &&
           one.revoked == other.revoked && one.expires == other.expires;
}

bool is_equal(const Client& one, const Client& other) {
    return one.name == other.name && has_equal_policy(one, other) &&
           std::ranges::equal(one.generations, other.generations, is_equal_generation);
}

const Client* find_client(const Keyring& keyring, std::string_view name) {
    const auto found = std::ranges::lower_bound(keyring.clients, name, {}, &Client::name);
    return found != keyring.clients.end() && found->name == name ? &*found : nullptr;
}

Client* find_client(Keyring& keyring, std::string_view name) {
    return const_cast<Client*>(find_client(std::as_const(keyring), name));
}

std::string service_names(const std::map<std::string, Service>& services) {
    return join(services, [](const auto& entry) -> const std::string& { return entry.first; });
}

SecretBytes door_text(const Door& door) {
    JsonWriter writer;
    writer.string("oneknock", "door");
    writer.integer("version", 1);
    writer.string("name", door.name);
    writer.string("address", door.address);
    writer.string("id", to_hex(door.id.bytes));
    writer.string("span", door.span.text());
    writer.begin_object("services");
    for (const auto& [name, service] : door.services) writer.string(name, service.text());
    writer.end();
    write_generations(writer, door.generations);
    return std::move(writer).finish();
}

SecretBytes client_text(const Client& client) {
    JsonWriter writer;
    writer.string("oneknock", "client");
    writer.integer("version", 1);
    writer.string("name", client.name);
    writer.strings("allow", client.allow);
    writer.string("source", client.source.text());
    writer.duration("max_duration", client.max_duration);
    writer.null("connections");
    writer.boolean("revoked", client.revoked);
    writer.time_or_null("expires", client.expires);
    write_generations(writer, client.generations);
    return std::move(writer).finish();
}

bool is_client_file(std::string_view name) { return name.ends_with(".json") && !name.starts_with('.'); }

Result<std::vector<std::string>> client_paths(const std::string& folder) {
    std::vector<std::string> paths;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        const std::string name = at->path().filename().string();
        if (is_client_file(name)) paths.push_back(at->path().string());
    }
    if (error) {
        errno = error.value();
        return tl::unexpected(system_error("read the clients' directory", folder, ExitCode::no_input));
    }
    std::ranges::sort(paths);
    return paths;
}

Result<Door> load_door(const std::string& path) {
    const auto text = read_private_file(path);
    if (!text) return tl::unexpected(text.error());
    return parse_door(text->text(), path);
}

Result<void> ReadableKeyring::verdict() const {
    if (problems.empty()) return {};
    for (auto problem = problems.begin() + 1; problem != problems.end(); ++problem) log::warning(problem->message);
    return tl::unexpected(problems.front());
}

Result<ReadableKeyring> load_what_is_right(Door door, const std::string& clients_folder) {
    const auto paths = client_paths(clients_folder);
    if (!paths) return tl::unexpected(paths.error());
    ReadableKeyring found{{std::move(door), {}}, {}};
    Keyring& keyring = found.keyring;
    for (const std::string& path : *paths) {
        auto client = load_client(path, keyring.door);
        if (client) keyring.clients.push_back(std::move(*client));
        else found.problems.push_back(std::move(client.error()));
    }
    std::ranges::sort(keyring.clients, {}, &Client::name);  // not quite the order of the files: '-' is less than '.'
    if (auto checked = check_shares_no_key(keyring.clients, clients_folder); !checked)
        found.problems.push_back(std::move(checked.error()));
    return found;
}

Result<Keyring> load_keyring(const std::string& door_path, const std::string& clients_folder) {
    auto found =
        load_door(door_path).and_then([&](Door&& door) { return load_what_is_right(std::move(door), clients_folder); });
    if (!found) return tl::unexpected(found.error());
    if (!found->problems.empty()) return tl::unexpected(found->problems.front());
    return std::move(found->keyring);
}

}  // namespace oneknock

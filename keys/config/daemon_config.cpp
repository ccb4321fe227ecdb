#include "keys/config/daemon_config.hpp"

#include <algorithm>
#include <filesystem>

#include "common/files.hpp"
#include "common/json.hpp"
#include "keys/config/firewall_config.hpp"
#include "keys/fields.hpp"
#include "keys/json_writer.hpp"
#include "keys/names.hpp"
#include "keys/rotation.hpp"

namespace oneknock {
namespace {

constexpr fields::DurationRule tolerance_rule{Seconds{1}, Seconds{3600}, Seconds{60}};
constexpr fields::DurationRule grant_maximum_rule{Seconds{1}, fields::longest_duration, Seconds{3600}};
constexpr Seconds usual_grant{30};
constexpr fields::DurationRule grace_rule{Seconds{0}, longest_overlap, Seconds{86400}};
constexpr std::size_t longest_user = 32;  // LOGIN_NAME_MAX of useradd

// A path as the file has it, or behind the file's folder if it is relative.
std::string read_path(json::Object& object, std::string_view field, const std::string& file, std::string_view absent) {
    const std::string text = absent.empty() || object.has(field) ? object.string(field) : std::string(absent);
    if (text.empty() || text.find('\0') != std::string::npos) object.complain(field, "must be a path");
    return std::filesystem::path(file).parent_path() / text;
}

std::string read_socket(json::Object& object, const std::string& file) {
    std::string path = read_path(object, "socket", file, default_socket);
    if (path.size() > longest_socket_path)
        object.complain("socket", "is too long for a socket: " + std::to_string(path.size()) + " characters, at most " +
                                      std::to_string(longest_socket_path));
    return path;
}

std::string read_user(json::Object& object) {
    if (!object.has("user")) return default_user;
    std::string text = object.string("user");
    if (!is_valid_name(text) || text.size() > longest_user) object.complain("user", "must be a user name");
    return text;
}

Scheduling read_scheduling(json::Object& object) {
    if (!object.has("scheduling")) return Scheduling::realtime;
    const std::string text = object.string("scheduling");
    if (text != "realtime" && text != "normal") object.complain("scheduling", "must be \"realtime\" or \"normal\"");
    return text == "normal" ? Scheduling::normal : Scheduling::realtime;
}

std::vector<std::string> read_interfaces(json::Context& context, json::Object& object) {
    if (!object.has("interfaces")) return {"any"};
    std::vector<std::string> interfaces;
    const json::Value* list = object.array("interfaces");
    if (list == nullptr) return interfaces;
    const auto complain = [&](const json::Value& item, const std::string& what) {
        context.complain(item.line, "interfaces", what);
    };
    if (list->items.empty()) object.complain("interfaces", "must name at least one interface, or be [\"any\"]");
    if (list->items.size() > most_interfaces)
        object.complain("interfaces", "names " + std::to_string(list->items.size()) + " interfaces; at most " +
                                          std::to_string(most_interfaces) + " are allowed, or use [\"any\"]");
    for (const json::Value& item : list->items) {
        if (item.kind != json::Value::Kind::string) complain(item, "must be a list of strings");
        if (!is_valid_interface_name(item.text))
            complain(item, json::quote(item.text) + " cannot be an interface: " + std::string(interface_rule));
        if (std::ranges::find(interfaces, item.text) != interfaces.end())
            complain(item, json::quote(item.text) + " appears twice; remove one");
        if (item.text == "any" && list->items.size() > 1)
            complain(item, "\"any\" means all interfaces; remove it or the others");
        if (context.failed()) break;
        interfaces.push_back(item.text);
    }
    return interfaces;
}

void read_grant(json::Context& context, const json::Value& value, DaemonConfig& config) {
    json::Object object(context, value, "grant");
    config.grant_maximum = fields::duration(object, "maximum", grant_maximum_rule);
    const Seconds absent = std::min(usual_grant, config.grant_maximum);
    config.grant_default = fields::duration(object, "default", {Seconds{1}, fields::longest_duration, absent});
    if (config.grant_default > config.grant_maximum)
        object.complain("default", "is longer than the maximum, " + duration_text(config.grant_maximum) +
                                       "; lower it or raise \"maximum\"");
    object.finish();
}

void read_rotation(json::Context& context, const json::Value& value, DaemonConfig& config) {
    json::Object object(context, value, "rotation");
    if (!object.has("grace") || object.optional_string("grace"))
        config.rotation_grace = fields::duration(object, "grace", grace_rule);
    else config.rotation_grace.reset();
    object.finish();
}

DaemonConfig read_members(json::Context& context, json::Object& object, const std::string& path) {
    DaemonConfig config;
    config.path = path;
    object.header("daemon");
    config.door = read_path(object, "door", path, {});
    config.clients = read_path(object, "clients", path, {});
    config.interfaces = read_interfaces(context, object);
    config.tolerance = fields::duration(object, "tolerance", tolerance_rule);
    if (const auto* grant = object.optional_object("grant")) read_grant(context, *grant, config);
    if (const auto* rotation = object.optional_object("rotation")) read_rotation(context, *rotation, config);
    if (const auto* firewall = object.optional_object("firewall")) config.firewall = read_firewall(context, *firewall);
    config.scheduling = read_scheduling(object);
    config.state = read_path(object, "state", path, default_state);
    config.socket = read_socket(object, path);
    config.user = read_user(object);
    object.finish();
    return config;
}

// What is wrong with this file is the administrator's to mend, not the sender's of some data.
Error as_configuration_error(Error error) {
    if (error.code == ExitCode::data) error.code = ExitCode::config;
    return error;
}

}  // namespace

Result<DaemonConfig> parse_daemon_config(std::string_view text, const std::string& path) {
    const auto root = json::parse(text, path);
    if (!root) return tl::unexpected(as_configuration_error(root.error()));
    json::Context context(path);
    json::Object object(context, *root);
    DaemonConfig config = read_members(context, object, path);
    if (context.failed()) return tl::unexpected(as_configuration_error(*context.error()));
    return config;
}

Result<DaemonConfig> read_daemon_config(const std::string& path) {
    const auto text = read_file(path);
    if (!text) return tl::unexpected(as_configuration_error(text.error()));
    return parse_daemon_config(text->text(), path);
}

std::string daemon_config_text(const DaemonConfig& config) {
    JsonWriter writer;
    writer.string("oneknock", "daemon");
    writer.integer("version", 1);
    writer.string("door", config.door);
    writer.string("clients", config.clients);
    writer.strings("interfaces", config.interfaces);
    writer.duration("tolerance", config.tolerance);
    writer.begin_object("grant");
    writer.duration("default", config.grant_default);
    writer.duration("maximum", config.grant_maximum);
    writer.end();
    writer.begin_object("rotation");
    if (config.rotation_grace) writer.duration("grace", *config.rotation_grace);
    else writer.null("grace");
    writer.end();
    write_firewall(writer, config.firewall);
    writer.string("scheduling", config.scheduling == Scheduling::normal ? "normal" : "realtime");
    writer.string("state", config.state);
    writer.string("socket", config.socket);
    writer.string("user", config.user);
    return std::string(std::move(writer).finish().text());
}

}  // namespace oneknock

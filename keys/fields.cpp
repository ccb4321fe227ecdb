#include "keys/fields.hpp"

#include <algorithm>

#include "keys/names.hpp"

namespace oneknock::fields {

std::string name(json::Object& object, std::string_view field) {
    std::string text = object.string(field);
    if (!is_valid_name(text)) object.complain(field, json::quote(text) + " is not a name: " + std::string(name_rule));
    return text;
}

std::string host(json::Object& object, std::string_view field) {
    std::string text = object.string(field);
    if (!is_valid_host(text))
        object.complain(field, json::quote(text) + " cannot be an address: " + std::string(host_rule));
    return text;
}

DoorId door_id(json::Object& object, std::string_view field) {
    DoorId id;
    if (!from_hex(object.string(field), id.bytes)) object.complain(field, "must be 32 hexadecimal digits");
    return id;
}

PortSpan span(json::Object& object, std::string_view field) {
    auto parsed = PortSpan::parse(object.string(field));
    if (parsed) return std::move(*parsed);
    object.complain(field, parsed.error().message);
    return {};
}

std::uint32_t generation(json::Object& object, std::string_view field) {
    return static_cast<std::uint32_t>(object.integer(field, 1, UINT32_MAX));
}

SourcePolicy source(json::Object& object, std::string_view field) {
    if (!object.has(field)) return {};
    const std::string text = object.string(field);
    const auto policy = SourcePolicy::parse(text);
    if (!policy)
        object.complain(field, json::quote(text) +
                                   " is not a source policy; write same, observed, any or a network "
                                   "like 192.0.2.0/24 (host bits must be zero)");
    return policy.value_or(SourcePolicy());
}

bool flag(json::Object& object, std::string_view field) { return object.has(field) && object.boolean(field); }

UnixTime time(json::Object& object, std::string_view field) {
    const auto parsed = parse_time(object.string(field));
    if (!parsed) object.complain(field, "must be a time in UTC like \"2026-11-23T07:00:00Z\"");
    return parsed.value_or(UnixTime{});
}

std::optional<UnixTime> optional_time(json::Object& object, std::string_view field) {
    const auto text = object.optional_string(field);
    if (!text) return std::nullopt;
    const auto parsed = parse_time(*text);
    if (!parsed) object.complain(field, "must be null or a time in UTC like \"2026-11-23T07:00:00Z\"");
    return parsed;
}

Seconds duration(json::Object& object, std::string_view field, const DurationRule& rule) {
    if (!object.has(field)) return rule.absent;
    const auto parsed = parse_seconds(object.string(field));
    if (parsed && *parsed >= rule.low && *parsed <= rule.high) return *parsed;
    object.complain(field, "must be a duration in whole seconds, minutes, hours or days like \"90s\" or \"2m\", from " +
                               duration_text(rule.low) + " to " + duration_text(rule.high));
    return rule.absent;
}

std::map<std::string, Service> services(json::Context& context, json::Object& object, std::string_view field) {
    std::map<std::string, Service> found;
    const json::Value* members = object.object(field);
    if (members == nullptr) return found;
    if (members->members.empty()) object.complain(field, "must have at least one service, like {\"ssh\": \"tcp/22\"}");
    for (const json::Member& member : members->members) {
        const std::string path = std::string(field) + "." + member.name;
        const auto service = Service::parse(member.value.text);  // no text in values of other kinds
        if (!is_valid_name(member.name))
            context.complain(member.line, path, "is not a name: " + std::string(name_rule));
        if (!service) context.complain(member.line, path, "must be a service like \"tcp/22\" or \"udp/51820\"");
        if (context.failed()) break;
        const auto same = std::ranges::find(found, *service, [](const auto& entry) { return entry.second; });
        if (same != found.end())
            context.complain(member.line, path, service->text() + " is already called " + json::quote(same->first));
        found.emplace(member.name, *service);
    }
    return found;
}

}  // namespace oneknock::fields

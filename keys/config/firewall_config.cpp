#include "keys/config/firewall_config.hpp"

#include <algorithm>
#include <array>

#include "keys/fields.hpp"

namespace oneknock {
namespace {

constexpr std::array mode_names{"guard", "mark", "set"};  // by FirewallMode

struct OwnedField {
    std::string_view name;
    FirewallMode mode;
};
constexpr std::array owned_fields{
    OwnedField{"closed", FirewallMode::guard},   OwnedField{"trusted", FirewallMode::guard},
    OwnedField{"udp_idle", FirewallMode::guard}, OwnedField{"udp_maximum", FirewallMode::guard},
    OwnedField{"mark", FirewallMode::mark},      OwnedField{"set4", FirewallMode::set},
    OwnedField{"set6", FirewallMode::set}};

constexpr Seconds longest_udp_idle{86400};
constexpr Seconds longest_udp_maximum{30 * 86400};  // in milliseconds it is to fit into 32 bits

const char* name_of(FirewallMode mode) { return mode_names[static_cast<std::size_t>(mode)]; }

FirewallMode read_mode(json::Object& object) {
    if (!object.has("mode")) return FirewallMode::guard;
    const std::string text = object.string("mode");
    const auto found = std::ranges::find(mode_names, text);
    if (found != mode_names.end()) return static_cast<FirewallMode>(found - mode_names.begin());
    object.complain("mode", "must be \"guard\", \"mark\" or \"set\"");
    return FirewallMode::guard;
}

void refuse_fields_of_other_modes(json::Object& object, FirewallMode mode) {
    for (const OwnedField& field : owned_fields)
        if (field.mode != mode && object.has(field.name))
            object.complain(field.name, std::string("is for mode \"") + name_of(field.mode) +
                                            "\" and has no effect in mode \"" + name_of(mode) + "\"; remove it");
}

ClosedAnswer read_closed(json::Object& object) {
    if (!object.has("closed")) return ClosedAnswer::reset;
    const std::string text = object.string("closed");
    if (text != "reset" && text != "drop") object.complain("closed", "must be \"reset\" or \"drop\"");
    return text == "drop" ? ClosedAnswer::drop : ClosedAnswer::reset;
}

std::vector<Network> read_trusted(json::Context& context, json::Object& object) {
    std::vector<Network> trusted;
    const json::Value* list = object.has("trusted") ? object.array("trusted") : nullptr;
    if (list == nullptr) return trusted;
    for (const json::Value& item : list->items) {
        const auto network = Network::parse(item.text);  // no text in values of other kinds
        if (!network)
            context.complain(item.line, "firewall.trusted",
                             json::quote(item.text) +
                                 " is not a network like \"192.0.2.0/24\" (host bits must be "
                                 "zero)");
        if (context.failed()) break;
        trusted.push_back(*network);
    }
    return trusted;
}

// Longer names and other characters nft itself could not write down in a ruleset.
bool is_nft_name(std::string_view name) {
    constexpr std::size_t longest = 255;  // NFT_NAME_MAXLEN - 1
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    return !name.empty() && name.size() <= longest && is_letter(name.front()) && std::ranges::all_of(name, [&](char c) {
        return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '/' || c == '\\' || c == '-';
    });
}

std::string read_own_table(json::Object& object) {
    const std::string name = object.optional_string("table").value_or(default_table);
    if (!is_own_table_name(name)) object.complain("table", std::string(own_table_rule));
    return name;
}

void read_table(json::Object& object, FirewallConfig& firewall) {
    const std::string text = object.string("table");
    const auto space = text.find(' ');
    firewall.set_table_family = text.substr(0, space);
    firewall.set_table = space == std::string::npos ? "" : text.substr(space + 1);
    const auto& family = firewall.set_table_family;
    if ((family != "inet" && family != "ip" && family != "ip6") || !is_nft_name(firewall.set_table))
        object.complain("table", "must be a family (inet, ip or ip6) and the name of a table, like \"inet filter\"");
}

// `foreign` is the table family in which a set of this address family can never match.
std::string read_set(json::Object& object, std::string_view field, const FirewallConfig& firewall,
                     std::string_view foreign) {
    const std::string name = object.optional_string(field).value_or("");
    if (name.empty()) return name;
    if (!is_nft_name(name)) object.complain(field, json::quote(name) + " is not a valid set name");
    if (firewall.set_table_family == foreign)
        object.complain(field, "has no effect in a table of family " + std::string(foreign) + "; remove it");
    return name;
}

void read_sets(json::Object& object, FirewallConfig& firewall) {
    read_table(object, firewall);
    firewall.set_ipv4 = read_set(object, "set4", firewall, "ip6");
    firewall.set_ipv6 = read_set(object, "set6", firewall, "ip");
    if (firewall.set_ipv4.empty() && firewall.set_ipv6.empty())
        object.complain("set4", "is missing, and so is \"set6\"; name at least one set");
    if (firewall.set_ipv4 == firewall.set_ipv6)
        object.complain("set6", "is the same set as \"set4\"; IPv4 and IPv6 need separate sets");
}

}  // namespace

bool is_own_table_name(std::string_view name) {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    return is_nft_name(name) && name.starts_with(default_table) && std::ranges::all_of(name, is_plain);
}

FirewallConfig read_firewall(json::Context& context, const json::Value& value) {
    json::Object object(context, value, "firewall");
    FirewallConfig firewall;
    firewall.mode = read_mode(object);
    refuse_fields_of_other_modes(object, firewall.mode);
    if (firewall.mode != FirewallMode::set) firewall.own_table = read_own_table(object);
    if (firewall.mode == FirewallMode::guard) {
        firewall.closed = read_closed(object);
        firewall.trusted = read_trusted(context, object);
        firewall.udp_idle = fields::duration(object, "udp_idle", {Seconds{1}, longest_udp_idle, firewall.udp_idle});
        firewall.udp_maximum =
            fields::duration(object, "udp_maximum", {Seconds{1}, longest_udp_maximum, firewall.udp_maximum});
    } else if (firewall.mode == FirewallMode::mark) {
        firewall.mark = static_cast<std::uint32_t>(object.integer("mark", 1, UINT32_MAX));
    } else {
        read_sets(object, firewall);
    }
    object.finish();
    return firewall;
}

void write_firewall(JsonWriter& writer, const FirewallConfig& firewall) {
    writer.begin_object("firewall");
    writer.string("mode", name_of(firewall.mode));
    if (firewall.mode != FirewallMode::set && firewall.own_table != default_table)
        writer.string("table", firewall.own_table);
    if (firewall.mode == FirewallMode::guard) {
        writer.string("closed", firewall.closed == ClosedAnswer::drop ? "drop" : "reset");
        std::vector<std::string> trusted;
        for (const Network& network : firewall.trusted) trusted.push_back(network.text());
        writer.strings("trusted", trusted);
        if (firewall.udp_idle != FirewallConfig{}.udp_idle) writer.duration("udp_idle", firewall.udp_idle);
        if (firewall.udp_maximum != FirewallConfig{}.udp_maximum) writer.duration("udp_maximum", firewall.udp_maximum);
    } else if (firewall.mode == FirewallMode::mark) {
        writer.integer("mark", firewall.mark);
    } else {
        writer.string("table", firewall.set_table_family + " " + firewall.set_table);
        if (!firewall.set_ipv4.empty()) writer.string("set4", firewall.set_ipv4);
        if (!firewall.set_ipv6.empty()) writer.string("set6", firewall.set_ipv6);
    }
    writer.end();
}

}  // namespace oneknock

// The daemon's configuration: what is accepted is within its bounds, and is the same when written and read again.
#include "keys/config/daemon_config.hpp"

#include "keys/names.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/messages.hpp"

namespace oneknock::fuzz {
namespace {

const std::string path = "/etc/oneknock/oneknockd.json";

void check_bounds(const DaemonConfig& config) {
    HOLDS(config.tolerance >= Seconds{1} && config.tolerance <= Seconds{3600});
    HOLDS(config.grant_maximum >= Seconds{1} && config.grant_maximum <= Seconds{65535});
    HOLDS(config.grant_default >= Seconds{1} && config.grant_default <= config.grant_maximum);
    HOLDS(!config.interfaces.empty() && config.interfaces.size() <= most_interfaces);
    HOLDS(config.socket.size() <= longest_socket_path);
    HOLDS(is_valid_name(config.user));
    for (const std::string* file : {&config.door, &config.clients, &config.state, &config.socket})
        HOLDS(file->starts_with('/') && file->find('\0') == std::string::npos);
    const FirewallConfig& firewall = config.firewall;
    HOLDS((firewall.mode == FirewallMode::mark) == (firewall.mark != 0));
    HOLDS((firewall.mode == FirewallMode::set) == !firewall.set_table.empty());
    HOLDS(firewall.mode == FirewallMode::guard || firewall.trusted.empty());
}

}  // namespace

void one_input(Input input) {
    const std::string_view text = input.text();
    const auto config = parse_daemon_config(text, path);
    if (!config) return check_complaint(config.error(), path);
    check_bounds(*config);
    const std::string written = daemon_config_text(*config);
    const auto again = parse_daemon_config(written, path);
    HOLDS(again.has_value());
    check_bounds(*again);
    HOLDS(daemon_config_text(*again) == written);
}

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    DaemonConfig config;
    config.door = "/etc/oneknock/door.json";
    config.clients = "/etc/oneknock/clients.d";
    all.push_back(bytes_of(daemon_config_text(config)));
    config.interfaces = {"eth0", "wg0"};
    config.rotation_grace.reset();
    config.firewall.closed = ClosedAnswer::drop;
    config.firewall.trusted = {*Network::parse("192.0.2.0/24"), *Network::parse("2001:db8::/32")};
    all.push_back(bytes_of(daemon_config_text(config)));
    config.firewall = {};
    config.firewall.mode = FirewallMode::mark;
    config.firewall.mark = 0x10;
    all.push_back(bytes_of(daemon_config_text(config)));
    config.firewall = {};
    config.firewall.mode = FirewallMode::set;
    config.firewall.set_table_family = "inet";
    config.firewall.set_table = "filter";
    config.firewall.set_ipv4 = "knocked4";
    config.firewall.set_ipv6 = "knocked6";
    all.push_back(bytes_of(daemon_config_text(config)));
    all.push_back(bytes_of(
        R"({"oneknock":"daemon","version":1,"door":"d","clients":"c", // where
"x-note":[1,-2.5e3,{"a":null}],"interfaces":["\u0065th0"],/* */"tolerance":"2m","grant":{"default":"10s"}})"));
    return all;
}

}  // namespace oneknock::fuzz

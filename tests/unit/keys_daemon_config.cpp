#include "keys/config/daemon_config.hpp"

#include "tests/unit/keys_fixtures.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

const std::string path = "/etc/oneknock/oneknockd.json";

Result<DaemonConfig> parse(const std::string& text) { return parse_daemon_config(text, path); }

const std::string full = R"({
  "oneknock": "daemon",
  "version": 1,
  "door": "door.json",
  "clients": "/srv/clients.d",
  "interfaces": ["eth0", "ppp0"],
  "tolerance": "90s",
  "grant": {
    "default": "10s",
    "maximum": "2h"
  },
  "rotation": {
    "grace": "3h"
  },
  "firewall": {
    "mode": "guard",
    "closed": "drop",
    "trusted": ["192.0.2.0/24", "2001:db8::/32"]
  },
  "scheduling": "normal",
  "state": "/var/lib/x",
  "socket": "/run/x/control.sock",
  "user": "nobody"
}
)";

const std::string smallest = R"({"oneknock": "daemon", "version": 1, "door": "door.json", "clients": "clients.d"})";

// The smallest configuration with this "firewall".
Result<DaemonConfig> with_firewall(const std::string& object) {
    return parse(edited(smallest, "1,", "1,\n\"firewall\": " + object + ","));
}

std::string firewall_complaint(const std::string& object) {
    const auto config = with_firewall(object);
    return config ? "" : config.error().message.substr(path.size());
}

}  // namespace

TEST_CASE("the daemon's configuration is read as it is written, field by field") {
    const auto config = parse(full);
    REQUIRE(config);
    CHECK(config->path == path);
    CHECK(config->door == "/etc/oneknock/door.json");
    CHECK(config->clients == "/srv/clients.d");
    CHECK(config->interfaces == std::vector<std::string>{"eth0", "ppp0"});
    CHECK(config->tolerance == Seconds{90});
    CHECK(config->grant_default == Seconds{10});
    CHECK(config->grant_maximum == Seconds{7200});
    CHECK(config->rotation_grace == Seconds{10800});
    CHECK(config->firewall.mode == FirewallMode::guard);
    CHECK(config->firewall.closed == ClosedAnswer::drop);
    REQUIRE(config->firewall.trusted.size() == 2);
    CHECK(config->firewall.trusted[1].text() == "2001:db8::/32");
    CHECK(config->scheduling == Scheduling::normal);
    CHECK(config->state == "/var/lib/x");
    CHECK(config->socket == "/run/x/control.sock");
    CHECK(config->user == "nobody");
    CHECK(daemon_config_text(*config) == edited(full, "\"door.json\"", "\"/etc/oneknock/door.json\""));
}

TEST_CASE("all but four fields of the configuration have defaults") {
    const auto config = parse(smallest);
    REQUIRE(config);
    CHECK(config->interfaces == std::vector<std::string>{"any"});
    CHECK(config->tolerance == Seconds{60});
    CHECK(config->grant_default == Seconds{30});
    CHECK(config->grant_maximum == Seconds{3600});
    CHECK(config->rotation_grace == Seconds{86400});
    CHECK(config->firewall.mode == FirewallMode::guard);
    CHECK(config->firewall.closed == ClosedAnswer::reset);
    CHECK(config->firewall.trusted.empty());
    CHECK(config->scheduling == Scheduling::realtime);
    CHECK(config->state == "/var/lib/oneknock");
    CHECK(config->socket == "/run/oneknock/control.sock");
    CHECK(config->user == "oneknock");
}

TEST_CASE("relative paths are meant from the configuration's folder") {
    const std::string text = edited(smallest, "1,", R"(1, "state": "state", "socket": "s/c.sock",)");
    const auto config = parse_daemon_config(text, "conf/oneknockd.json");
    REQUIRE(config);
    CHECK(config->door == "conf/door.json");
    CHECK(config->state == "conf/state");
    CHECK(config->socket == "conf/s/c.sock");
    CHECK(parse_daemon_config(smallest, "oneknockd.json")->door == "door.json");
}

TEST_CASE("a short maximum shortens the default grant that is not given") {
    const auto config = parse(edited(smallest, "1,", R"(1, "grant": {"maximum": "10s"},)"));
    REQUIRE(config);
    CHECK(config->grant_default == Seconds{10});
}

TEST_CASE("a configuration with a wrong field is refused with the field's place") {
    const auto parse_and_check_exit = [](const std::string& text) {
        auto config = parse_daemon_config(text, "o.json");
        if (!config) CHECK(config.error().code == ExitCode::config);
        return config;
    };
    std::string many_interfaces = R"("ppp0")";
    for (int i = 1; i <= 63; ++i) many_interfaces += R"(, "ppp)" + std::to_string(i) + '"';
    const std::string long_socket = "\"/" + std::string(107, 's') + "\"";
    const Edit edits[] = {
        {R"("daemon")", R"("door")", R"(o.json:2: field "oneknock": is "door", but a file of kind "daemon")"},
        {R"("version": 1)", R"("version": 2)", R"(o.json:3: field "version": 2 is newer)"},
        {R"("door": "door.json",)", "", R"(o.json:1: field "door": is missing)"},
        {R"("door.json")", R"("")", R"(o.json:4: field "door": must be a path)"},
        {R"("door.json")", R"("a\u0000b")", R"(o.json:4: field "door": must be a path)"},
        {R"("clients": "/srv/clients.d",)", "", R"(o.json:1: field "clients": is missing)"},
        {R"("ppp0")", many_interfaces.c_str(),
         R"(o.json:6: field "interfaces": names 65 interfaces; at most 64 are allowed)"},
        {R"(["eth0", "ppp0"])", "[]", R"(o.json:6: field "interfaces": must name at least one interface)"},
        {R"(["eth0", "ppp0"])", R"("any")", R"(o.json:6: field "interfaces": must be a list)"},
        {R"(["eth0", "ppp0"])", R"([1])", R"(o.json:6: field "interfaces": must be a list of strings)"},
        {R"("ppp0")", R"("eth0")", R"(o.json:6: field "interfaces": "eth0" appears twice)"},
        {R"("ppp0")", R"("any")", R"(o.json:6: field "interfaces": "any" means all interfaces)"},
        {R"("ppp0")", "\n\"eth0/1\"", R"(o.json:7: field "interfaces": "eth0/1" cannot be an interface)"},
        {R"("ppp0")", R"("a-name-too-long-")", R"(o.json:6: field "interfaces": "a-name-too-long-" cannot be)"},
        {R"("90s")", R"("0s")", R"(o.json:7: field "tolerance": must be a duration)"},
        {R"("90s")", R"("3601s")", R"(o.json:7: field "tolerance": must be a duration)"},
        {R"("90s")", "90", R"(o.json:7: field "tolerance": must be a string)"},
        {R"("10s")", R"("0s")", R"(o.json:9: field "grant.default": must be a duration)"},
        {R"("10s")", R"("3h")", R"(o.json:9: field "grant.default": is longer than the maximum, 2h)"},
        {R"("2h")", R"("65536s")", R"(o.json:10: field "grant.maximum": must be a duration)"},
        {R"("2h")", R"("2h", "minimum": "1s")", R"(o.json:10: field "grant.minimum": is unknown)"},
        {R"("3h")", R"("367d")", R"(o.json:13: field "rotation.grace": must be a duration)"},
        {R"("3h")", "3", R"(o.json:13: field "rotation.grace": must be a string or null)"},
        {R"("3h")", R"("3h", "overlap": "7d")", R"(o.json:13: field "rotation.overlap": is unknown)"},
        {R"("guard")", R"("moat")", R"(o.json:16: field "firewall.mode": must be "guard", "mark" or "set")"},
        {R"("drop")", R"("reject")", R"(o.json:17: field "firewall.closed": must be "reset" or "drop")"},
        {R"("192.0.2.0/24")", R"("192.0.2.1/24")",
         R"(o.json:18: field "firewall.trusted": "192.0.2.1/24" is not a network)"},
        {R"("192.0.2.0/24")", "7", R"(o.json:18: field "firewall.trusted": )"},
        {R"("normal")", R"("low")", R"(o.json:20: field "scheduling": must be "realtime" or "normal")"},
        {R"("/var/lib/x")", "null", R"(o.json:21: field "state": must be a string)"},
        {R"("/run/x/control.sock")", long_socket.c_str(), R"(o.json:22: field "socket": is too long for a socket)"},
        {R"("nobody")", R"("no body")", R"(o.json:23: field "user": must be a user name)"},
        {R"("nobody")", R"("nobody", "users": [])", R"(o.json:23: field "users": is unknown)"},
    };
    require_refusals(full, edits, parse_and_check_exit);
}

TEST_CASE("the limits of the configuration's durations are allowed") {
    CHECK(parse(edited(full, "\"90s\"", "\"1s\"")));
    CHECK(parse(edited(full, "\"90s\"", "\"1h\"")));
    CHECK(parse(edited(full, "\"2h\"", "\"65535s\"")));
    CHECK(parse(edited(full, "\"10s\"", "\"2h\"")));
    CHECK(parse(edited(full, "\"3h\"", "\"0s\""))->rotation_grace == Seconds{0});
}

TEST_CASE("without a grace period old generations stay until their own end") {
    const auto config = parse(edited(full, "\"3h\"", "null"));
    REQUIRE(config);
    CHECK_FALSE(config->rotation_grace);
    CHECK_FALSE(parse(daemon_config_text(*config))->rotation_grace);
}

TEST_CASE("a firewall that marks has a mark and nothing else") {
    const auto config = with_firewall(R"({"mode": "mark", "mark": 4294967295})");
    REQUIRE(config);
    CHECK(config->firewall.mode == FirewallMode::mark);
    CHECK(config->firewall.mark == 4294967295U);
    CHECK(parse(daemon_config_text(*config))->firewall.mark == 4294967295U);
    for (const char* object : {R"({"mode": "mark", "mark": 0})", R"({"mode": "mark", "mark": 4294967296})"})
        CHECK_THAT(firewall_complaint(object),
                   Catch::StartsWith(R"(:2: field "firewall.mark": must be from 1 to 4294967295)"));
    CHECK(firewall_complaint(R"({"mode": "mark"})") == R"(:2: field "firewall.mark": is missing)");
    CHECK_THAT(firewall_complaint(R"({"mode": "mark", "mark": 1, "closed": "drop"})"),
               Catch::StartsWith(R"(:2: field "firewall.closed": is for mode "guard" and has no effect in mode )"
                                 R"("mark")"));
}

TEST_CASE("a firewall of sets names the administrator's table and its sets") {
    const auto config = with_firewall(R"({"mode": "set", "table": "inet filter", "set4": "knock4", "set6": "knock6"})");
    REQUIRE(config);
    CHECK(config->firewall.mode == FirewallMode::set);
    CHECK(config->firewall.set_table_family == "inet");
    CHECK(config->firewall.set_table == "filter");
    CHECK(config->firewall.set_ipv4 == "knock4");
    CHECK(config->firewall.set_ipv6 == "knock6");
    CHECK(parse(daemon_config_text(*config))->firewall.set_ipv6 == "knock6");
    const auto single = with_firewall(R"({"mode": "set", "table": "ip6 f", "set6": "s"})");
    REQUIRE(single);
    CHECK(single->firewall.set_ipv4.empty());
    CHECK(parse(daemon_config_text(*single))->firewall.set_table_family == "ip6");
}

TEST_CASE("a firewall of sets that cannot work is refused") {
    for (const char* table : {"filter", "inet", "inet ", "bridge filter", "inet  filter", "inet a b", "inet 4x"}) {
        CAPTURE(table);
        CHECK_THAT(firewall_complaint(std::string(R"({"mode": "set", "set4": "s", "table": ")") + table + "\"}"),
                   Catch::StartsWith(R"(:2: field "firewall.table": must be a family (inet, ip or ip6))"));
    }
    CHECK_THAT(firewall_complaint(R"({"mode": "set", "table": "inet f"})"), Catch::Contains("name at least one set"));
    CHECK_THAT(firewall_complaint(R"({"mode": "set", "table": "inet f", "set4": "s", "set6": "s"})"),
               Catch::Contains("is the same set"));
    CHECK_THAT(firewall_complaint(R"({"mode": "set", "table": "ip f", "set4": "s", "set6": "t"})"),
               Catch::StartsWith(R"(:2: field "firewall.set6": has no effect in a table of family ip)"));
    CHECK_THAT(firewall_complaint(R"({"mode": "set", "table": "inet f", "set4": "a b"})"),
               Catch::Contains("is not a valid set name"));
    CHECK_THAT(firewall_complaint(R"({"mode": "set", "table": "inet f", "set4": "s", "mark": 1})"),
               Catch::Contains(R"(is for mode "mark")"));
}

TEST_CASE("fields of other modes are refused in a guard too, which is the mode if none is named") {
    for (const char* field : {R"("mark": 1)", R"("set4": "s")", R"("set6": "s")"}) {
        CAPTURE(field);
        CHECK_THAT(firewall_complaint(std::string("{") + field + "}"), Catch::Contains("no effect in mode \"guard\""));
    }
    CHECK(with_firewall(R"({"closed": "drop"})")->firewall.closed == ClosedAnswer::drop);
    CHECK(with_firewall(R"({"closed": "drop"})")->firewall.udp_idle == Seconds{300});
    CHECK(with_firewall(R"({"udp_idle": "4m", "udp_maximum": "30d"})")->firewall.udp_idle == Seconds{240});
    CHECK(with_firewall(R"({"udp_idle": "4m", "udp_maximum": "30d"})")->firewall.udp_maximum == Seconds{30 * 86400});
    CHECK_FALSE(with_firewall(R"({"udp_maximum": "31d"})"));
    CHECK_FALSE(with_firewall(R"({"udp_idle": "0s"})"));
    CHECK_FALSE(with_firewall(R"({"mode": "mark", "mark": 1, "udp_idle": "4m"})"));
}

TEST_CASE("a daemon's own table has a name that no other table has by chance, and that nft can write down") {
    CHECK(with_firewall("{}")->firewall.own_table == "oneknock");
    for (const char* name : {"oneknock", "oneknock_office", "oneknock2"}) {
        const auto config = with_firewall(std::string(R"({"mode": "guard", "table": ")") + name + "\"}");
        REQUIRE(config);
        CHECK(config->firewall.own_table == name);
        CHECK(parse(daemon_config_text(*config))->firewall.own_table == name);
    }
    for (const char* name : {"", "filter", "inet oneknock", "inet filter", "Oneknock", "oneknock-office", "oneknock/2",
                             "my_oneknock", "oneknock table"})
        CHECK_THAT(firewall_complaint(std::string(R"({"mode": "mark", "mark": 1, "table": ")") + name + "\"}"),
                   Catch::Contains("must begin with \"oneknock\""));
}

TEST_CASE("a configuration is read from its file, and a missing one is told apart") {
    const TemporaryFolder folder;
    const auto config = read_daemon_config(folder.write("oneknockd.json", smallest, 0644));
    REQUIRE(config);
    CHECK(config->door == folder.path() + "/door.json");
    CHECK(read_daemon_config(folder.path() + "/none.json").error().code == ExitCode::no_input);
    CHECK(read_daemon_config(folder.write("bad.json", "{", 0644)).error().code == ExitCode::config);
}

#include "client/options/door_defaults.hpp"

#include <cstdlib>
#include <filesystem>

#include <sys/stat.h>

#include "client/options/command_line.hpp"
#include "common/files.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using Values = OptionValues;

namespace {

const DefaultsOf tcp_for_5m = [](const std::string& door) {
    return door == "home" ? DoorDefaults{"/c/home.conf", {{"via", "tcp"}, {"for", "5m"}, {"family", "6"}}}
                          : DoorDefaults{};
};

Result<KnockOptions> knock(std::vector<std::string> words) {
    return parse_command_line(std::move(words), tcp_for_5m).map([](const Command& command) {
        return std::get<KnockOptions>(command);
    });
}

Result<Values> parse(const std::string& members) {
    return parse_defaults(R"({"oneknock": "door-defaults", "version": 1)" + members + "}", "home.conf");
}

}  // namespace

TEST_CASE("a door's defaults stand where the command line says nothing, and only for that door") {
    const auto plain = knock({"open", "home", "ssh"});
    REQUIRE(plain);
    CHECK(plain->via == Via::tcp);
    CHECK(plain->duration == Seconds{300});
    CHECK(plain->family == Family::ipv6);
    const auto typed = knock({"open", "home", "ssh", "--via", "udp", "--for", "1s", "-4"});
    REQUIRE(typed);
    CHECK(typed->via == Via::udp);
    CHECK(typed->duration == Seconds{1});
    CHECK(typed->family == Family::ipv4);
    CHECK(knock({"open", "./home", "ssh"})->via == Via::udp);
    const auto connect = parse_command_line({"connect", "home"}, tcp_for_5m);
    CHECK(std::get<ConnectOptions>(*connect).knock.via == Via::tcp);
}

TEST_CASE("a default that does not go with what was typed is named with its file") {
    const auto clash = knock({"open", "home", "ssh", "--source", "192.0.2.7"});
    REQUIRE_FALSE(clash);
    CHECK(clash.error().code == ExitCode::usage);
    CHECK(clash.error().message.find("/c/home.conf") != std::string::npos);
    const auto typed = knock({"open", "home", "ssh", "--via", "pigeon"});
    REQUIRE_FALSE(typed);
    CHECK(typed.error().message.find("home.conf") == std::string::npos);
}

TEST_CASE("defaults are read strictly, and each wrong one is named with file, field and what to do") {
    CHECK(*parse(R"(, "via": "tcp", "family": "4", "x-note": "slow line" /* a comment */)") ==
          Values{{"via", "tcp"}, {"family", "4"}});
    const std::pair<const char*, const char*> wrong[] = {
        {R"(, "via": "pigeon")", "must be udp or tcp"},
        {R"(, "carrier": "tcp")", "carrier"},
        {R"(, "family": "5")", "must be 4 or 6"},
        {R"(, "for": 60)", "for"},
        {R"(, "wait": "5s")", "wait"},
        {R"(, "pace": "1s")", "pace"},
        {R"(, "source": "localhost")", "source"},
        {R"(, "via": "tcp", "via": "udp")", "via"},
        {R"(, "source": "192.0.2.7", "family": "6")", "--source 192.0.2.7"}};
    for (const auto& [members, part] : wrong) {
        CAPTURE(members);
        const auto values = parse(members);
        REQUIRE_FALSE(values);
        CHECK(values.error().code == ExitCode::data);
        CHECK(values.error().message.find("home.conf") == 0);
        CHECK(values.error().message.find(part) != std::string::npos);
    }
    CHECK_FALSE(parse_defaults("via=tcp", "home.conf"));
    const Values all{{"for", "5m"}, {"knocks", "60"}, {"time-offset", "-5s"}, {"source", "observed"}};
    CHECK(*parse_defaults(defaults_text(all).text(), "home.conf") == all);
}

TEST_CASE("a name that has no default is refused with the one that was meant") {
    CHECK(check_values({{"vai", "tcp"}}).error().message.find("did you mean via?") != std::string::npos);
    CHECK(check_values({{"wait", "5s"}}).error().code == ExitCode::usage);
    CHECK(check_values({{"key-fd", "3"}}).error().code == ExitCode::usage);
}

TEST_CASE("a file of defaults that others may write to is refused, and one that is not there is none") {
    std::string path = "/tmp/oneknock-test-XXXXXX";
    REQUIRE(mkdtemp(path.data()) != nullptr);
    const std::string file = path + "/home.conf";
    CHECK(read_defaults_file(file)->empty());
    REQUIRE(create_private_file(file, defaults_text({{"via", "tcp"}}).bytes()));
    REQUIRE(chmod(file.c_str(), 0644) == 0);
    CHECK(read_defaults_file(file)->size() == 1);
    REQUIRE(chmod(file.c_str(), 0664) == 0);
    const auto loose = read_defaults_file(file);
    REQUIRE_FALSE(loose);
    CHECK(loose.error().code == ExitCode::permission);
    CHECK(loose.error().message.find("chmod go-w " + file) != std::string::npos);
    std::filesystem::remove_all(path);
}

#include "keys/keyring.hpp"

#include <algorithm>
#include <cctype>

#include "keys/shared_keys.hpp"
#include "tests/unit/keys_fixtures.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

Result<Door> door_of(const std::string& text) { return parse_door(text, "d.json"); }
Result<Client> client_of(const std::string& text) { return parse_client(text, "c.json"); }

// With a key of its own.
std::string client_called(const std::string& name) {
    const std::string key{static_cast<char>('A' + name.size()), static_cast<char>(std::toupper(name.back()))};
    return edited(edited(valid_client, "alice", name), "AQEBAQ", key + "EBAQ");
}

}  // namespace

TEST_CASE("a door is read as it is written, field by field") {
    const auto door = door_of(valid_door);
    REQUIRE(door);
    CHECK(door->name == "home");
    CHECK(door->address == "door.example.org");
    CHECK(to_hex(door->id.bytes) == "000102030405060708090a0b0c0d0e0f");
    CHECK(door->span.text() == "20000-60000,!30000-30999");
    CHECK(door->services ==
          std::map<std::string, Service>{{"ssh", {protocol_tcp, 22}}, {"vpn", {protocol_udp, 51820}}});
    REQUIRE(door->generations.size() == 2);
    const Generation& old = door->generations[0];
    CHECK(old.number == 1);
    CHECK(old.secret.bytes()[0] == 1);
    CHECK(time_text(old.not_before) == "2026-11-23T07:00:00Z");
    CHECK(time_text(old.not_after.value()) == "2027-01-01T00:00:00Z");
    CHECK(door->generations[1].number == 3);
    CHECK_FALSE(door->generations[1].not_after);
    CHECK(door_text(*door).text() == valid_door);
}

TEST_CASE("a client is read as it is written, field by field") {
    const auto client = client_of(valid_client);
    REQUIRE(client);
    CHECK(client->name == "alice");
    CHECK(client->allow == std::vector<std::string>{"ssh", "vpn"});
    CHECK(client->source.text() == "192.0.2.0/24");
    CHECK(client->max_duration == Seconds{90});
    CHECK(client->revoked);
    CHECK(time_text(client->expires.value()) == "2027-01-31T00:00:00Z");
    REQUIRE(client->generations.size() == 1);
    CHECK(client->generations[0].number == 2);
    CHECK(client_text(*client).text() == valid_client);
}

TEST_CASE("what a client's file may leave out has its default") {
    const auto client = client_of(R"({"oneknock": "client", "version": 1, "name": "alice", "allow": ["ssh"],
        "generations": [{"generation": 1, "secret": ")" +
                                  secret_1 + R"(", "not_before": "2026-11-23T07:00:00Z"}]})");
    REQUIRE(client);
    CHECK(client->source.mode() == SourcePolicy::Mode::same);
    CHECK(client->max_duration == Seconds{60});
    CHECK_FALSE(client->revoked);
    CHECK_FALSE(client->expires);
    CHECK_FALSE(client->generations[0].not_after);
}

TEST_CASE("a door's file with a wrong field is refused with the field's place") {
    const Edit edits[] = {
        {R"("door",)", R"("client",)", R"(d.json:2: field "oneknock": is "client", but a file of kind "door")"},
        {R"("version": 1)", R"("version": 9)", R"(d.json:3: field "version": 9 is newer than this program)"},
        {R"("home")", R"("")", R"(d.json:4: field "name": "" is not a name)"},
        {R"("door.example.org")", R"("two words")", R"(d.json:5: field "address": "two words" cannot be an address)"},
        {R"("000102)", R"("0102)", R"(d.json:6: field "id": must be 32 hexadecimal)"},
        {R"("20000-60000,!30000-30999")", R"("20000-36382")",
         R"(d.json:7: field "span": the span "20000-36382" has 16383)"},
        {R"("20000-60000,!30000-30999")", R"("60000-20000")",
         R"(d.json:7: field "span": "60000-20000" is not a range)"},
        {R"("20000-60000,!30000-30999")", "[]", R"(d.json:7: field "span": must be a string)"},
        {R"("vpn": "udp/51820")", R"("vpn": "udp/65536")", R"(d.json:10: field "services.vpn": must be a service)"},
        {R"("vpn": "udp/51820")", R"("vpn": "tcp/22")",
         R"(d.json:10: field "services.vpn": tcp/22 is already called "ssh")"},
        {R"("vpn":)", R"("ssh":)", R"(d.json:10: field "ssh" appears twice)"},
        {R"("generation": 3)", R"("generation": 1)",
         R"(d.json:19: field "generations[1].generation": must be greater)"},
        {R"("generation": 1)", R"("generation": 3)",
         R"(d.json:19: field "generations[1].generation": must be greater)"},
        {R"("generation": 1)", R"("generation": 0)", R"(d.json:14: field "generations[0].generation": must be from 1)"},
        {"AQEB", "", R"(d.json:15: field "secret": not the base64 text)"},
        {R"("not_before": "2026-12-25T00:00:00Z",)", "", R"(d.json:19: field "generations[1].not_before": is missing)"},
        {R"("2026-12-25T00:00:00Z")", "null", R"(d.json:22: field "generations[1].not_before": must be a string)"},
        {R"("2027-01-01T00:00:00Z")", R"("2026-11-23T07:00:00Z")",
         R"(d.json:17: field "generations[0].not_after": must be null or later than not_before)"},
        {R"("2027-01-01T00:00:00Z")", R"("2025-01-01T00:00:00Z")",
         R"(d.json:17: field "generations[0].not_after": must be null or later than not_before)"},
        {R"("not_after": null)", R"("not_after": null, "note": 1)",
         R"(d.json:23: field "generations[1].note": is unknown)"},
        {R"("generations": [)", R"("generations": [], "x-old": [)",
         R"(d.json:12: field "generations": must have at least one generation)"},
        {R"("generations": [)", R"("generations": [4,)", R"(d.json:12: field "generations[0]": must be an object)"},
        {R"("generations": [)", R"("generations": {}, "x-old": [)",
         R"(d.json:12: field "generations": must be a list)"},
    };
    require_refusals(valid_door, edits, door_of);
}

TEST_CASE("a door has at most 64 services") {
    const auto door_with = [](std::size_t count) {
        std::string services;
        for (std::size_t i = 2; i < count; ++i)
            services += "\"s" + std::to_string(i) + "\": \"tcp/" + std::to_string(1000 + i) + "\",\n";
        return door_of(edited(valid_door, "\"ssh\"", services + "\"ssh\""));
    };
    CHECK(door_with(64));
    REQUIRE_FALSE(door_with(65));
    CHECK(door_with(65).error().message == "d.json:8: field \"services\": has more than 64 services; remove some");
}

TEST_CASE("a client's file with a wrong field is refused with the field's place") {
    const Edit edits[] = {
        {R"("client",)", R"("client-key",)",
         R"(c.json:2: field "oneknock": is "client-key", but a file of kind "client")"},
        {R"("alice")", R"(".alice")", R"(c.json:4: field "name": ".alice" is not a name)"},
        {R"(["ssh", "vpn"])", R"("ssh")", R"(c.json:5: field "allow": must be a list)"},
        {R"(["ssh", "vpn"])", R"(["ssh", "ssh"])", R"(c.json:5: field "allow": "ssh" appears twice)"},
        {R"(["ssh", "vpn"])", "[\"ssh\",\n22]", R"(c.json:6: field "allow": must be a list of service names)"},
        {R"("192.0.2.0/24")", R"("192.0.2.9/24")",
         R"(c.json:6: field "source": "192.0.2.9/24" is not a source policy)"},
        {R"("90s")", R"("90")", R"(c.json:7: field "max_duration": must be a duration)"},
        {R"("90s")", R"("1d")", R"(c.json:7: field "max_duration": must be a duration)"},
        {R"("connections": null)", R"("connections": 1)",
         R"(c.json:8: field "connections": must be null in this version)"},
        {R"("revoked": true)", R"("revoked": "yes")", R"(c.json:9: field "revoked": must be true or false)"},
        {R"("2027-01-31T00:00:00Z")", R"("2027-01-31")", R"(c.json:10: field "expires": must be null or a time)"},
        {R"("generation": 2,)", "", R"(c.json:12: field "generations[0].generation": is missing)"},
        {R"("revoked": true)", R"("revoked": true, "revokedd": true)", R"(c.json:9: field "revokedd": is unknown)"},
    };
    require_refusals(valid_client, edits, client_of);
}

TEST_CASE("a client must fit its file's name and its door") {
    const auto door = door_of(valid_door);
    const auto client = client_of(valid_client);
    REQUIRE(door);
    REQUIRE(client);
    CHECK(check_client(*client, *door, "/etc/oneknock/clients.d/alice.json"));
    CHECK(check_client(*client, *door, "alice.json"));
    for (const char* file : {"bob.json", "alice", "alice.json.bak", "x/alice.json/"}) {
        CAPTURE(file);
        const auto checked = check_client(*client, *door, file);
        REQUIRE_FALSE(checked);
        CHECK_THAT(checked.error().message, Catch::Contains("rename the file to alice.json"));
    }
    const auto stranger = client_of(edited(valid_client, "vpn", "web"));
    REQUIRE(stranger);
    const auto checked = check_client(*stranger, *door, "alice.json");
    REQUIRE_FALSE(checked);
    CHECK(checked.error().message == "alice.json: field \"allow\": the door has no service \"web\"; it has ssh, vpn");
}

TEST_CASE("a clients' folder gives its json files, not the hidden ones") {
    const TemporaryFolder folder;
    for (const char* name : {"b.json", "a.json", ".hidden.json", "a.json~", "README", ".json", "a-b.json"})
        folder.write(name, "");
    const auto paths = client_paths(folder.path());
    REQUIRE(paths);
    CHECK(*paths == std::vector{folder.path() + "/a-b.json", folder.path() + "/a.json", folder.path() + "/b.json"});
}

TEST_CASE("a keyring is a door and its clients in the order of their names") {
    const TemporaryFolder folder;
    const auto door = folder.write("door.json", valid_door);
    const std::string clients = folder.path() + "/clients.d";
    const auto missing = load_keyring(door, clients);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ExitCode::no_input);
    CHECK_THAT(missing.error().message, Catch::Contains(clients));

    for (const std::string name : {"b", "a-b", "a"}) folder.write("clients.d/" + name + ".json", client_called(name));
    const auto keyring = load_keyring(door, clients);
    REQUIRE(keyring);
    CHECK(keyring->door.name == "home");
    REQUIRE(keyring->clients.size() == 3);
    CHECK(keyring->clients[0].name == "a");
    CHECK(keyring->clients[1].name == "a-b");
    CHECK(keyring->clients[2].name == "b");
}

TEST_CASE("one wrong file stops the loading of a keyring") {
    const TemporaryFolder folder;
    const auto door = folder.write("door.json", valid_door);
    folder.write("clients.d/a.json", client_called("a"));
    const auto error_with = [&](const std::string& text, mode_t mode) {
        const auto path = folder.write("clients.d/b.json", text, mode);
        const auto keyring = load_keyring(door, folder.path() + "/clients.d");
        REQUIRE_FALSE(keyring);
        CHECK_THAT(keyring.error().message, Catch::StartsWith(path));
        return keyring.error().code;
    };
    CHECK(error_with(client_called("b"), 0604) == ExitCode::permission);
    CHECK(error_with(client_called("c"), 0600) == ExitCode::data);
    CHECK(error_with(client_called("b").substr(0, 300), 0600) == ExitCode::data);
    CHECK(error_with("", 0600) == ExitCode::data);
    CHECK(error_with(valid_door, 0600) == ExitCode::data);
    folder.write("clients.d/b.json", client_called("b"));
    CHECK(load_keyring(door, folder.path() + "/clients.d"));
    CHECK(load_keyring(folder.write("door.json", valid_door, 0640), folder.path() + "/clients.d").error().code ==
          ExitCode::permission);
}

TEST_CASE("a key that is in two clients' files is an error that names both") {
    const TemporaryFolder folder;
    const std::string door = folder.write("door.json", test::valid_door);
    folder.write("clients.d/alice.json", test::valid_client);
    REQUIRE(load_keyring(door, folder.path() + "/clients.d"));
    folder.write("clients.d/alice-old.json", test::edited(test::valid_client, "\"alice\"", "\"alice-old\""));
    const auto loaded = load_keyring(door, folder.path() + "/clients.d");
    REQUIRE_FALSE(loaded);
    CHECK_THAT(loaded.error().message, Catch::Contains("clients.d/alice.json: holds a key that is in alice-old.json") &&
                                           Catch::Contains("oneknock-keygen rotate alice"));
}

TEST_CASE("shared keys are found in any generation, and forgotten with the file that is gone") {
    const Secret32 one = Secret32::random(), other = Secret32::random();
    const auto client = [](const std::string& name, std::initializer_list<const Secret32*> keys) {
        Client made;
        made.name = name;
        for (const Secret32* key : keys)
            made.generations.push_back({static_cast<std::uint32_t>(made.generations.size() + 1), key->copy(), {}, {}});
        return made;
    };
    const Secret32 third = Secret32::random();
    std::vector<Client> clients;
    clients.push_back(client("a", {&one, &other}));
    clients.push_back(client("b", {&third}));
    clients.push_back(client("c", {&third, &other}));
    clients.push_back(client("d", {}));
    const Sharing expected{{"a", {"c"}}, {"b", {"c"}}, {"c", {"a", "b"}}};
    CHECK(shared_keys(clients) == expected);
    KeyCensus census;
    for (const Client& each : clients) census.note_come(fingerprints_of(each));
    CHECK(census.has_doubles());
    census.note_gone(fingerprints_of(clients[2]));
    CHECK_FALSE(census.has_doubles());
    census.note_gone(fingerprints_of(clients[0]));
    census.note_come(fingerprints_of(clients[0]));
    CHECK_FALSE(census.has_doubles());
}

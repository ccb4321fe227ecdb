#include "keys/key_file.hpp"

#include "tests/unit/keys_fixtures.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

Result<KeyFile> parse(const std::string& text) { return parse_key_file(text, "k.json"); }

}  // namespace

TEST_CASE("a key file is read as it is written, field by field") {
    const auto key = parse(valid_key_file);
    REQUIRE(key);
    CHECK(key->door.name == "home");
    CHECK(key->door.address == "2001:db8::1");
    CHECK(to_hex(key->door.id.bytes) == "000102030405060708090a0b0c0d0e0f");
    CHECK(key->door.span.text() == "1024-65535");
    CHECK(key->door.secret.bytes()[31] == 1);
    CHECK(key->door.generation == 3);
    CHECK(key->client.name == "alice");
    CHECK(key->client.secret.bytes()[0] == 2);
    CHECK(key->client.generation == 2);
    CHECK(key->client.source.mode() == SourcePolicy::Mode::observed);
    CHECK(key->client.max_duration == Seconds{120});
    CHECK(key->services == std::map<std::string, Service>{{"ssh", {protocol_tcp, 22}}});
    CHECK(time_text(key->created) == "2026-11-23T07:00:00Z");
    CHECK_FALSE(key->expires);
    CHECK(key_file_text(*key).text() == valid_key_file);
}

TEST_CASE("what a key file may leave out has its default") {
    auto text = edited(valid_key_file, ",\n    \"source\": \"observed\",\n    \"max_duration\": \"2m\"", "");
    text = edited(text, ",\n  \"expires\": null", "");
    const auto key = parse(text);
    REQUIRE(key);
    CHECK(key->client.source == SourcePolicy());
    CHECK(key->client.max_duration == Seconds{60});
    CHECK_FALSE(key->expires);
}

TEST_CASE("a key file may hold comments, and fields of the user's own") {
    CHECK(parse(edited(valid_key_file, "\"door\": {", "// mine\n\"x-note\": {\"a\": [1]}, \"door\": {\"x-b\": 1,")));
}

TEST_CASE("a key file with a wrong field is refused with the field's place") {
    const Edit edits[] = {
        {R"("client-key")", R"("door")", R"(k.json:2: field "oneknock": is "door", but a file of kind "client-key")"},
        {R"("version": 1)", R"("version": 2)", R"(k.json:3: field "version": 2 is newer than this program)"},
        {R"("version": 1)", R"("version": "1")", R"(k.json:3: field "version": must be a whole number)"},
        {R"("version": 1,)", "", R"(k.json:1: field "version": is missing)"},
        {R"("name": "home")", R"("name": "a b")", R"(k.json:5: field "door.name": "a b" is not a name)"},
        {R"("name": "home")", R"("name": null)", R"(k.json:5: field "door.name": must be a string)"},
        {R"("2001:db8::1")", R"("[::1]")", R"(k.json:6: field "door.address": "[::1]" cannot be an address)"},
        {R"("2001:db8::1")", R"("-x")", R"(k.json:6: field "door.address": "-x" cannot be an address)"},
        {R"("000102030405060708090a0b0c0d0e0f")", R"("0001")", R"(k.json:7: field "door.id": must be 32 hexadecimal)"},
        {R"("000102030405060708090a0b0c0d0e0f")", R"("0001020304050607x8090a0b0c0d0e0f")",
         R"(k.json:7: field "door.id": must be 32 hexadecimal)"},
        {R"("1024-65535")", R"("1024-2047")", R"(k.json:8: field "door.span": the span "1024-2047" has 1024 ports)"},
        {R"("1024-65535")", R"("1024 - 65535")", R"(k.json:8: field "door.span": "1024 - 65535" is not a range)"},
        {"AQEB", "AQE", R"(k.json:9: field "secret": not the base64 text of 32 bytes)"},
        {"AQEB", "A*EB", R"(k.json:9: field "secret": not the base64 text of 32 bytes)"},
        {R"("secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")", R"("secret": 5)",
         R"(k.json:9: field "door.secret": must be a secret)"},
        {R"("generation": 3)", R"("generation": 0)",
         R"(k.json:10: field "door.generation": must be from 1 to 4294967295)"},
        {R"("generation": 3)", R"("generation": 4294967296)", R"(k.json:10: field "door.generation": must be from)"},
        {R"("generation": 3)", R"("generation": 1.5)", R"(k.json:10: field "door.generation": must be a whole number)"},
        {R"("generation": 3)", R"("generation": 3, "color": "red")", R"(k.json:10: field "door.color": is unknown)"},
        {R"("name": "alice")", R"("name": "../alice")", R"(k.json:13: field "client.name": "../alice" is not a name)"},
        {R"("name": "alice")", R"("name": "alice", "name": "bob")", R"(k.json:13: field "name" appears twice)"},
        {R"("AgIC)", R"("AgI)", R"(k.json:14: field "secret": not the base64 text of 32 bytes)"},
        {R"("observed")", R"("whatever")", R"(k.json:16: field "client.source": "whatever" is not a source policy)"},
        {R"("observed")", R"("192.0.2.1/24")", R"(k.json:16: field "client.source": "192.0.2.1/24" is not)"},
        {R"("2m")", R"("0s")", R"(k.json:17: field "client.max_duration": must be a duration)"},
        {R"("2m")", R"("65536s")", R"(k.json:17: field "client.max_duration": must be a duration)"},
        {R"("2m")", R"("1500ms")", R"(k.json:17: field "client.max_duration": must be a duration)"},
        {R"("2m")", "120", R"(k.json:17: field "client.max_duration": must be a string)"},
        {R"("2m")", R"("2m", "connections": null)", R"(k.json:17: field "client.connections": is unknown)"},
        {R"("ssh": "tcp/22")", "", R"(k.json:19: field "services": must have at least one service)"},
        {R"("ssh": "tcp/22")", R"("s h": "tcp/22")", R"(k.json:20: field "services.s h": is not a name)"},
        {R"("tcp/22")", R"("tcp/0")", R"(k.json:20: field "services.ssh": must be a service like)"},
        {R"("tcp/22")", R"("22")", R"(k.json:20: field "services.ssh": must be a service like)"},
        {R"("tcp/22")", "22", R"(k.json:20: field "services.ssh": must be a service like)"},
        {R"("tcp/22")", R"("tcp/22", "shell": "tcp/22")",
         R"(k.json:20: field "services.shell": tcp/22 is already called "ssh")"},
        {R"("2026-11-23T07:00:00Z")", R"("2026-11-23")", R"(k.json:22: field "created": must be a time)"},
        {R"("2026-11-23T07:00:00Z")", R"("2026-11-23T 7:00:00Z")", R"(k.json:22: field "created": must be a time)"},
        {R"("created": "2026-11-23T07:00:00Z",)", "", R"(k.json:1: field "created": is missing)"},
        {R"("expires": null)", R"("expires": "never")", R"(k.json:23: field "expires": must be null or a time)"},
        {R"("expires": null)", R"("expires": "2026-02-30T00:00:00Z")",
         R"(k.json:23: field "expires": must be null or)"},
        {R"("expires": null)", R"("expires": null, "nmae": 1)", R"(k.json:23: field "nmae": is unknown)"},
        {R"("door": {)", R"("door": null, "x-door": {)", R"(k.json:4: field "door": must be an object)"},
    };
    require_refusals(valid_key_file, edits, parse);
}

TEST_CASE("a key file cut short anywhere is refused") {
    const std::size_t end = valid_key_file.find_last_of('}');
    for (std::size_t length = 0; length <= end; ++length) {
        CAPTURE(length);
        CHECK_FALSE(parse(valid_key_file.substr(0, length)));
    }
}

TEST_CASE("a key file that others may read is refused, with the command that mends it") {
    const TemporaryFolder folder;
    const auto path = folder.write("k.json", valid_key_file, 0640);
    const auto loose = read_key_file(path);
    REQUIRE_FALSE(loose);
    CHECK(loose.error().code == ExitCode::permission);
    CHECK_THAT(loose.error().message, Catch::Contains("chmod 600 " + path));
    CHECK(read_key_file(folder.write("private.json", valid_key_file)));
    CHECK(read_key_file(folder.path() + "/missing").error().code == ExitCode::no_input);
}

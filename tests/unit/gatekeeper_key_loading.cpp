// Key files as descriptors, up to where locked memory ends.
#include "server/gatekeeper/keys/key_loading.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/keys_fixtures.hpp"

using namespace oneknock;

namespace {

Descriptor file_of(const std::string& text) {
    Descriptor fd(memfd_create("key", MFD_CLOEXEC));
    REQUIRE(fchmod(fd.get(), 0600) == 0);
    REQUIRE(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    return fd;
}

PassedKeyFile client(const std::string& name) {
    PassedKeyFile passed;
    ("/etc/oneknock/clients.d/" + name).copy(passed.name, longest_file_name);
    return passed;
}

PassedKeyFile the_door() {
    PassedKeyFile passed;
    passed.is_door = true;
    return passed;
}

KeyFilesEnd after(std::uint32_t count) {
    KeyFilesEnd end;
    end.count = count;
    return end;
}

UnopenedKeyFile unopened(const std::string& name, int error,
                         UnopenedKeyFile::Place place = UnopenedKeyFile::Place::client) {
    UnopenedKeyFile message;
    message.error = error;
    message.place = place;
    ("/etc/oneknock/clients.d/" + name).copy(message.name, longest_file_name);
    return message;
}

MissingKeyFile missing(const std::string& name) {
    MissingKeyFile message;
    const std::string path = "clients.d/" + name;
    path.substr(path.size() - std::min(path.size(), longest_file_name)).copy(message.name, longest_file_name);
    return message;
}

// A client who is let in, with another name and an edit.
std::string changed(const std::string& name, const std::string& from, const std::string& to) {
    const std::string text = test::edited(test::valid_client, "\"revoked\": true", "\"revoked\": false");
    return test::edited(test::edited(text, "\"alice\"", "\"" + name + "\""), from, to);
}

PreparedClient prepare(Client client) { return prepare_client(std::move(client), {}); }

// Alice, Bob and Carol, and the door that they may open.
struct House {
    House() {
        keyring.door = *parse_door(test::valid_door, "door.json");
        for (const char* name : {"alice", "bob", "carol"})
            keyring.clients.push_back(*parse_client(changed(name, "x", "x"), "x"));
    }
    [[nodiscard]] KeyLoading::InForce in_force() const { return {keyring}; }

    Keyring keyring;
};

constexpr int passed_over = 98;

// The exit code of a load where no memory can be locked.
int exit_without_memory() {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 99;  // root may lock what it likes
    const rlimit nothing{0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &nothing) != 0) return 99;
    if (mlock(&passed_over, sizeof passed_over) == 0) return passed_over;  // AddressSanitizer makes it do nothing
    KeyLoading loading(std::nullopt, prepare);
    loading.file(the_door(), file_of(test::valid_door));
    const auto change = loading.finish(after(1));
    return change ? 0 : static_cast<int>(change.error().code);
}

}  // namespace

TEST_CASE("a door alone is a keyring without clients") {
    KeyLoading loading(std::nullopt, prepare);
    loading.file(the_door(), file_of(test::valid_door));
    const auto loaded = loading.finish(after(1));
    REQUIRE(loaded);
    CHECK(loaded->change.clients.empty());
}

TEST_CASE("a file that could not be read, whatever is in it, is to be told again") {
    const House house;
    for (const bool starts : {true, false}) {
        CAPTURE(starts);
        KeyLoading loading(starts ? std::nullopt : std::optional(house.in_force()), prepare);
        if (starts) loading.file(the_door(), file_of(test::valid_door));
        const Descriptor whole = file_of(changed("bob", "x", "x"));
        const std::string path = "/proc/self/fd/" + std::to_string(whole.get());
        loading.file(client("bob.json"), Descriptor(open(path.c_str(), O_WRONLY | O_CLOEXEC)));  // it cannot be read
        const auto loaded = loading.finish(after(starts ? 2 : 1));
        REQUIRE(loaded);
        CHECK(loaded->wrong.contains("bob.json"));
        CHECK_FALSE(loaded->fits);
    }
}

TEST_CASE("at the start a wrong file keeps out its client alone") {
    KeyLoading loading(std::nullopt, prepare);
    loading.file(the_door(), file_of(test::valid_door));
    loading.file(client("alice.json"), file_of(test::valid_client));
    struct Row {
        const char* file;
        std::string text;
        const char* client;  // that is named
        const char* says;
    };
    const Row rows[] = {
        {"empty.json", "", "empty", "empty.json"},
        {"short.json", test::valid_client.substr(0, 60), "short", "short.json"},
        {"services.json", changed("services", "\"ssh\", \"vpn\"", "\"ssh\", \"sssh\""), "services",
         "no service \"sssh\""},
        {"another.json", test::valid_client, "another", "this is the file of client \"alice\""},
        {"alice (copy).json", test::valid_client, "", "this is the file of client \"alice\""},
        {"alice.json.json", test::valid_client, "alice.json", "this is the file of client \"alice\""},
        {"#alice#.json", test::valid_client, "", "this is the file of client \"alice\""},
    };
    for (const Row& row : rows) loading.file(client(row.file), file_of(row.text));
    Descriptor open_to_all = file_of(changed("mode", "x", "x"));
    REQUIRE(fchmod(open_to_all.get(), 0644) == 0);
    loading.file(client("mode.json"), std::move(open_to_all));
    loading.unopened(unopened("dangling.json", ENOENT));
    loading.unopened(unopened("pipe.json", 0));
    const auto loaded = loading.finish(after(12));
    REQUIRE(loaded);
    CHECK(loaded->change.door);
    REQUIRE(loaded->change.clients.size() == 1);
    CHECK(loaded->change.clients.contains("alice"));
    CHECK(loaded->wrong.size() == std::size(rows) + 3);
    for (const Row& row : rows) {
        CAPTURE(row.file);
        REQUIRE(loaded->wrong.contains(row.file));
        CHECK(loaded->wrong.at(row.file).client == row.client);
        CHECK_THAT(loaded->wrong.at(row.file).text, Catch::Contains(row.says));
    }
    CHECK_THAT(loaded->wrong.at("mode.json").text, Catch::Contains("chmod 600"));
    CHECK_THAT(loaded->wrong.at("pipe.json").text, Catch::Contains("not a regular file"));
}

TEST_CASE("at the start a wrong door, or no folder of clients, is an error") {
    KeyLoading loading(std::nullopt, prepare);
    SECTION("cut short") { loading.file(the_door(), file_of(test::valid_door.substr(0, 100))); }
    SECTION("not there") { loading.unopened(unopened("door.json", ENOENT, UnopenedKeyFile::Place::door)); }
    SECTION("no folder") {
        loading.file(the_door(), file_of(test::valid_door));
        loading.unopened(unopened("clients.d", EACCES, UnopenedKeyFile::Place::folder));
    }
    loading.file(client("alice.json"), file_of(test::valid_client));
    CHECK_FALSE(loading.finish(after(2)));
}

TEST_CASE("what takes away acts, whatever else is wrong") {
    const House house;
    KeyLoading loading(house.in_force(), prepare);
    SECTION("beside another span of the door's, which needs a restart") {
        loading.file(the_door(), file_of(test::edited(test::valid_door, "20000-60000", "20000-50000")));
    }
    SECTION("beside a door that is cut short") { loading.file(the_door(), file_of("{")); }
    SECTION("beside a door that is gone") {
        loading.unopened(unopened("door.json", ENOENT, UnopenedKeyFile::Place::door));
    }
    SECTION("beside the door of somebody else") {
        loading.file(the_door(), file_of(test::edited(test::valid_door, "000102", "ff0102")));
    }
    SECTION("beside a client's broken file") { loading.file(client("carol.json"), file_of("{")); }
    SECTION("beside one that cannot be opened") { loading.unopened(unopened("carol.json", EACCES)); }
    SECTION("beside one that is no file") { loading.unopened(unopened("carol.json", 0)); }
    loading.file(client("alice.json"), file_of(changed("alice", "\"revoked\": false", "\"revoked\": true")));
    loading.missing(missing("bob.json"));
    const auto loaded = loading.finish(after(3));
    REQUIRE(loaded);
    REQUIRE(loaded->change.clients.size() == 1);
    CHECK(loaded->change.clients.at("alice").client.revoked);
    CHECK(loaded->change.gone == std::set<std::string>{"bob"});
    CHECK(loaded->wrong.size() == 1);
    CHECK(loaded->right.contains("alice.json"));
    CHECK(loaded->fits);
}

TEST_CASE("a client's file acts but for services that the door does not have") {
    const House house;
    KeyLoading loading(house.in_force(), prepare);
    loading.file(client("alice.json"), file_of(changed("alice", "\"ssh\", \"vpn\"", "\"vpn\", \"web\"")));
    const auto loaded = loading.finish(after(1));
    REQUIRE(loaded);
    CHECK(loaded->change.clients.at("alice").client.allow == std::vector<std::string>{"vpn", "web"});
}

TEST_CASE("of a door with another span all else acts, of another door nothing") {
    const House house;
    std::string text = test::valid_door;
    const auto load = [&] {
        KeyLoading loading(house.in_force(), prepare);
        loading.file(the_door(), file_of(text));
        return *loading.finish(after(1));
    };
    SECTION("nothing is different") {
        const auto loaded = load();
        CHECK_FALSE(loaded.change.door);
        CHECK(loaded.right.contains(door_file));
    }
    SECTION("another span, a service less, and a secret that ends early") {
        text = test::edited(test::edited(text, "\"ssh\": \"tcp/22\",", ""), "20000-60000", "20000-50000");
        text = test::edited(text, "2027-01-01T00:00:00Z", "2026-11-24T00:00:00Z");
        const auto loaded = load();
        REQUIRE(loaded.change.door);
        CHECK(loaded.change.door->span.text() == house.keyring.door.span.text());
        CHECK(service_names(loaded.change.door->services) == "vpn");
        CHECK(loaded.change.door->generations[0].not_after < house.keyring.door.generations[0].not_after);
        CHECK_THAT(loaded.wrong.at(door_file).text, Catch::Contains("span") && Catch::Contains("restart"));
    }
    SECTION("another id") {
        text = test::edited(test::edited(text, "\"ssh\": \"tcp/22\",", ""), "000102", "ff0102");
        const auto loaded = load();
        CHECK_FALSE(loaded.change.door);
        CHECK_THAT(loaded.wrong.at(door_file).text, Catch::Contains("another door"));
    }
}

TEST_CASE("no stray file that is gone takes a client with it") {
    const House house;
    KeyLoading loading(house.in_force(), prepare);
    const std::string longest(longest_name, 'a');
    loading.missing(missing(longest + "b.json"));
    loading.missing(missing("alice (copy).json"));
    loading.missing(missing(std::string(100, 'x') + "alice.json"));
    const auto loaded = loading.finish(after(3));
    REQUIRE(loaded);
    CHECK(loaded->change.gone.empty());
}

TEST_CASE("a lack of locked memory is an error of the load, not the end of the process") {
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) _exit(exit_without_memory());
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) != passed_over) CHECK(WEXITSTATUS(status) == static_cast<int>(ExitCode::permission));
}

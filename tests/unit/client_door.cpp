#include "client/door/key_store.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client_fixtures.hpp"
#include "common/files.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

// A home of our own: XDG_CONFIG_HOME points into it while it lives.
struct Home {
    std::string path = "/tmp/oneknock-test-XXXXXX";
    Home() {
        REQUIRE(mkdtemp(path.data()) != nullptr);
        setenv("XDG_CONFIG_HOME", (path + "/config").c_str(), 1);
    }
    ~Home() {
        unsetenv("XDG_CONFIG_HOME");
        for (const char* file : {"/config/oneknock/home.json", "/key.json"}) unlink((path + file).c_str());
        for (const char* folder : {"/config/oneknock", "/config", ""}) rmdir((path + folder).c_str());
    }
};

// What is written to standard error while it lives.
class StandardError {
public:
    StandardError() {
        std::fflush(stderr);
        dup2(fileno(file_), STDERR_FILENO);
    }
    ~StandardError() {
        dup2(before_.get(), STDERR_FILENO);
        std::fclose(file_);
    }
    [[nodiscard]] std::string text() const {
        std::string text(4096, '\0');
        const auto got = pread(fileno(file_), text.data(), text.size(), 0);
        text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return text;
    }

private:
    Descriptor before_{dup(STDERR_FILENO)};
    std::FILE* file_ = std::tmpfile();
};

std::string write_key(const Home& home, const KeyFile& key) {
    const auto text = key_file_text(key);
    REQUIRE(create_private_file(home.path + "/key.json", text.bytes()));
    return home.path + "/key.json";
}

OpenedDoor sample_door() { return {"home.json", sample_key()}; }

}  // namespace

TEST_CASE("the configuration folder follows XDG") {
    {
        const Home home;
        CHECK(*config_folder() == home.path + "/config/oneknock");
    }
    setenv("XDG_CONFIG_HOME", "relative", 1);
    const std::string home = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "";
    setenv("HOME", "/home/alice", 1);
    CHECK(*config_folder() == "/home/alice/.config/oneknock");
    unsetenv("XDG_CONFIG_HOME");
    CHECK(*config_folder() == "/home/alice/.config/oneknock");
    setenv("HOME", home.c_str(), 1);
}

TEST_CASE("a door is a path, or the name of an imported key") {
    const Home home;
    CHECK(*find_door("./anything") == "./anything");
    const auto missing = find_door("home");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ExitCode::no_input);
    CHECK(missing.error().message.find(home.path + "/config/oneknock/home.json") != std::string::npos);
    CHECK(find_door("..").error().code == ExitCode::usage);
    CHECK(find_door("").error().code == ExitCode::usage);

    const std::string path = write_key(home, sample_key());
    REQUIRE(import_key({path}));
    CHECK(*find_door("home") == home.path + "/config/oneknock/home.json");
    struct stat info {};
    REQUIRE(stat(find_door("home")->c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(read_file(*find_door("home"))->text() == read_file(path)->text());
}

TEST_CASE("a plain word is always an imported door, whatever lies in the current directory") {
    const Home home;
    const std::string before = std::filesystem::current_path();
    std::filesystem::current_path(home.path);
    const auto back = [&] { std::filesystem::current_path(before); };
    REQUIRE(create_private_file("home", key_file_text(sample_key()).bytes()));
    CHECK(find_door("home").error().code == ExitCode::no_input);
    REQUIRE(import_key({"home"}));
    CHECK(*find_door("home") == home.path + "/config/oneknock/home.json");
    for (const char* file : {"./home", "home.json", "no-such.json"}) CHECK(*find_door(file) == file);
    unlink("home");
    back();
}

TEST_CASE("a list shows the sound doors, and each broken one with its own error") {
    const Home home;
    const std::string path = write_key(home, sample_key());
    REQUIRE(import_key({path}));
    const std::string folder = home.path + "/config/oneknock/";
    for (const char* file : {"a.json", "b.json"}) REQUIRE(create_private_file(folder + file, as_bytes("{}")));
    const StandardError errors;
    const auto listed = list_command({});
    const std::string printed = errors.text();
    for (const char* file : {"a.json", "b.json"}) unlink((folder + file).c_str());
    REQUIRE_FALSE(listed);
    CHECK(printed.find(folder + "a.json") != std::string::npos);
    CHECK(printed.find(folder + "b.json") == std::string::npos);
    CHECK(listed.error().message.find(folder + "b.json") != std::string::npos);
}

TEST_CASE("an import never overwrites, and refuses what is no key or not private") {
    const Home home;
    const std::string path = write_key(home, sample_key());
    REQUIRE(import_key({path}));
    CHECK(import_key({path}).error().code == ExitCode::cannot_create);
    REQUIRE(chmod(path.c_str(), 0644) == 0);
    CHECK(import_key({path}).error().code == ExitCode::permission);
    unlink(path.c_str());
    CHECK(import_key({path}).error().code == ExitCode::no_input);
    REQUIRE(create_private_file(path, as_bytes("{}")));
    CHECK(import_key({path}).error().code == ExitCode::data);
}

namespace {

KeyFile next_generation(const KeyFile& key, std::uint32_t door, std::uint32_t client) {
    KeyFile next = *parse_key_file(key_file_text(key).text(), "key.json");
    next.door.generation = door;
    next.client.generation = client;
    next.client.secret = Secret32::random();
    return next;
}

// Writes it over the last one that was brought here.
ImportOptions bring(const Home& home, const KeyFile& key) {
    unlink((home.path + "/key.json").c_str());
    return {write_key(home, key)};
}

// A descriptor to read these lines from.
int lines(const std::string& text) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    REQUIRE(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    close(ends[1]);
    return ends[0];
}

}  // namespace

TEST_CASE("an import replaces an older generation of the same key, and nothing else") {
    const Home home;
    const KeyFile first = sample_key();
    const auto used = [&] { return open_door("home", sample_time)->key.client.secret.copy(); };
    CHECK_FALSE(import_key(bring(home, first))->replaced);
    CHECK(used().equals(first.client.secret));

    const KeyFile second = next_generation(first, 1, 2), third = next_generation(first, 2, 2);
    CHECK(import_key(bring(home, second))->replaced);
    CHECK(used().equals(second.client.secret));
    CHECK(import_key(bring(home, third))->replaced);
    CHECK(used().equals(third.client.secret));

    KeyFile other_client = next_generation(first, 3, 3), other_door = next_generation(first, 3, 3);
    other_client.client.name = "bob";
    other_door.door.id = DoorId{{9}};
    for (const KeyFile* refused :
         std::initializer_list<const KeyFile*>{&first, &second, &third, &other_client, &other_door}) {
        const auto imported = import_key(bring(home, *refused));
        REQUIRE_FALSE(imported);
        CHECK(imported.error().code == ExitCode::cannot_create);
    }
    CHECK_FALSE(import_key(bring(home, next_generation(first, 1, 9))));
    CHECK_FALSE(import_key(bring(home, next_generation(first, 9, 1))));
    CHECK(used().equals(third.client.secret));
}

TEST_CASE("a key under a passphrase opens with it, and stays under it when a newer key is imported") {
    const Home home;
    const KeyFile first = sample_key(), second = next_generation(first, 1, 2);
    ImportOptions import = bring(home, first);
    import.passphrase = true;
    import.key_fd = lines("open sesame\n");
    REQUIRE(import_key(import));
    const auto used = [](const std::string& passphrase) { return open_door("home", sample_time, lines(passphrase)); };
    CHECK(used("open sesame\n")->key.client.secret.equals(first.client.secret));
    CHECK(used("open sesame")->key.client.secret.equals(first.client.secret));
    CHECK(used("open sesame\r\n").error().code == ExitCode::data);
    CHECK(used("").error().code == ExitCode::data);
    CHECK(used(std::string(2000, 'x')).error().code == ExitCode::data);

    ImportOptions newer = bring(home, second);
    newer.key_fd = lines("open barley\n");
    CHECK(import_key(newer).error().code == ExitCode::data);
    newer.key_fd = lines("open sesame\n");
    CHECK(import_key(newer)->replaced);
    CHECK(used("open sesame\n")->key.client.secret.equals(second.client.secret));

    REQUIRE(passphrase_command({"home", false, lines("open sesame\nopen rye\n")}));
    CHECK(used("open sesame\n").error().code == ExitCode::data);
    CHECK(used("open rye\n")->key.client.secret.equals(second.client.secret));
    CHECK_FALSE(passphrase_command({"home", false, lines("open rye\n")}));
    REQUIRE(passphrase_command({"home", true, lines("open rye\n")}));
    CHECK(open_door("home", sample_time)->key.client.secret.equals(second.client.secret));
}

TEST_CASE("a key is used until the second it expires") {
    const Home home;
    KeyFile key = sample_key();
    key.expires = sample_time;
    const std::string path = write_key(home, key);
    CHECK(open_door(path, sample_time - Seconds{1}));
    const auto expired = open_door(path, sample_time);
    REQUIRE_FALSE(expired);
    CHECK(expired.error().code == ExitCode::data);
    CHECK(expired.error().message.find("expired at 2027-01-15T08:00:00Z") != std::string::npos);
}

TEST_CASE("a service is a name of the key file, or a protocol and port") {
    const OpenedDoor door = sample_door();
    CHECK(*find_service(door, "wg") == Service{protocol_udp, 51820});
    CHECK(*find_service(door, "tcp/8080") == Service{protocol_tcp, 8080});
    CHECK(is_listed(door.key, {protocol_tcp, 22}));
    CHECK_FALSE(is_listed(door.key, {protocol_tcp, 8080}));
    for (const char* word : {"web", "", "tcp/0", "sctp/22"}) {
        const auto unknown = find_service(door, word);
        REQUIRE_FALSE(unknown);
        CHECK(unknown.error().code == ExitCode::usage);
        CHECK(unknown.error().message.find("home.json, which lists: ssh (tcp/22), wg (udp/51820)") !=
              std::string::npos);
    }
}

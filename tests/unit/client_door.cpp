#include "client/door/key_store.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client/doctor/own_checks.hpp"
#include "client/options/door_defaults.hpp"
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
        std::filesystem::remove_all(path);
    }
};

// What is written to a standard stream while it lives.
class Written {
public:
    explicit Written(int fd) : fd_(fd), before_(dup(fd)) {
        std::fflush(nullptr);
        dup2(fileno(file_), fd_);
    }
    ~Written() {
        std::fflush(nullptr);
        dup2(before_.get(), fd_);
        std::fclose(file_);
    }
    Written(const Written&) = delete;
    Written& operator=(const Written&) = delete;
    [[nodiscard]] std::string text() const {
        std::string text(4096, '\0');
        const auto got = pread(fileno(file_), text.data(), text.size(), 0);
        text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return text;
    }

private:
    int fd_;
    Descriptor before_;
    std::FILE* file_ = std::tmpfile();
};
struct StandardError : Written {
    StandardError() : Written(STDERR_FILENO) {}
};
struct StandardOutput : Written {
    StandardOutput() : Written(STDOUT_FILENO) {}
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

TEST_CASE("a key comes through a pipe, which leaves no copy") {
    const Home home;
    const auto text = key_file_text(sample_key());
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    const Descriptor out(ends[0]);
    Descriptor in(ends[1]);
    REQUIRE(write(in.get(), text.bytes().data(), text.bytes().size()) == static_cast<ssize_t>(text.bytes().size()));
    in.reset();
    const StandardOutput said;
    REQUIRE(import_command({"/dev/fd/" + std::to_string(out.get())}));
    CHECK(read_file(*find_door("home"))->text() == text.text());
    CHECK(said.text().find("left: ") == std::string::npos);
}

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

TEST_CASE("doors of one name live side by side under names of their own, and each takes its next generation") {
    const Home home;
    const KeyFile first = sample_key();
    KeyFile other = next_generation(first, 1, 1), bob = next_generation(first, 1, 1);
    other.door.id = DoorId{{9}};
    bob.client.name = "bob";
    REQUIRE(import_key(bring(home, first)));
    for (const KeyFile* taken : {&other, &bob}) {
        const auto imported = import_key(bring(home, *taken));
        REQUIRE_FALSE(imported);
        CHECK(imported.error().code == ExitCode::cannot_create);
        CHECK(imported.error().message.find("--as home-2") != std::string::npos);
    }
    const auto import_as = [&](const KeyFile& key, const char* name) {
        ImportOptions options = bring(home, key);
        options.as = name;
        return import_key(options);
    };
    CHECK_FALSE(import_as(other, "home"));
    CHECK(import_as(other, "office")->files.name == "office");
    CHECK(import_as(bob, "Home")->files.name == "Home");
    CHECK_FALSE(import_as(next_generation(other, 2, 1), "elsewhere"));

    const KeyFile newer = next_generation(first, 1, 2), newer_other = next_generation(other, 2, 1);
    CHECK(import_key(bring(home, newer_other))->files.name == "office");
    CHECK(import_as(newer, "home")->replaced);
    CHECK(import_key(bring(home, next_generation(bob, 1, 3)))->files.name == "Home");
    CHECK(open_door("office", sample_time)->key.client.secret.equals(newer_other.client.secret));
    CHECK(open_door("home", sample_time)->key.client.secret.equals(newer.client.secret));
}

TEST_CASE("a name that means something else on a command line or to the file system is no door's name") {
    const Home home;
    ImportOptions options = bring(home, sample_key());
    for (const char* name :
         {"", ".", "..", "../x", "a/b", "-x", ".x", "x.json", "a b", "a\nb", "\x1b[2J", "tür", "a\xff"}) {
        CAPTURE(name);
        options.as = name;
        CHECK(import_key(options).error().code == ExitCode::usage);
        if (std::string(name).find_first_of("/") == std::string::npos && !std::string(name).ends_with(".json"))
            CHECK(find_door(name).error().code == ExitCode::usage);
        CHECK(remove_command({name}).error().code == ExitCode::usage);
        CHECK(set_command({name, {"via=tcp"}}).error().code == ExitCode::usage);
    }
    KeyFile key = sample_key();
    key.door.name = "home.json";
    const auto imported = import_key(bring(home, key));
    REQUIRE_FALSE(imported);
    CHECK(imported.error().message.find("--as home-2") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(home.path + "/config/oneknock/home.json.json"));
}

TEST_CASE("a misspelt door is named with the one that was probably meant") {
    const Home home;
    REQUIRE(import_key(bring(home, sample_key())));
    for (const char* word : {"hmoe", "Home", "hom"}) {
        const auto missing = find_door(word);
        REQUIRE_FALSE(missing);
        CHECK(missing.error().code == ExitCode::no_input);
        CHECK(missing.error().message.find("did you mean home?") != std::string::npos);
    }
    CHECK(find_door("office").error().message.find("did you mean") == std::string::npos);
}

TEST_CASE("an import says what to do next and where the key is still") {
    const Home home;
    ImportOptions options = bring(home, sample_key());
    const StandardOutput output;
    REQUIRE(import_command(options));
    CHECK(output.text() ==
          "imported: " + home.path + "/config/oneknock/home.json\nnext: oneknock open home ssh --wait\n" + "left: " +
              options.file + " still holds the key; once the door has opened, remove it: rm " + options.file + "\n");
}

TEST_CASE("a key behind a link is replaced where it is, so that no older one stays there") {
    const Home home;
    const KeyFile first = sample_key(), second = next_generation(first, 1, 2);
    REQUIRE(import_key(bring(home, first)));
    const std::string door = home.path + "/config/oneknock/home.json", stick = home.path + "/stick.json";
    std::filesystem::rename(door, stick);
    std::filesystem::create_symlink(stick, door);
    REQUIRE(import_key(bring(home, second)));
    CHECK(std::filesystem::is_symlink(door));
    CHECK(read_key_file(stick)->client.secret.equals(second.client.secret));
    CHECK(std::filesystem::status(stick).permissions() == std::filesystem::perms{0600});

    const StandardOutput output;
    REQUIRE(remove_command({"home"}));
    CHECK(output.text().find("left: " + stick) != std::string::npos);
    CHECK_FALSE(std::filesystem::is_symlink(door));
    CHECK(std::filesystem::exists(stick));
    std::filesystem::create_symlink(home.path + "/nowhere", door);
    CHECK_FALSE(import_key(bring(home, first)));
    CHECK(remove_command({"home"}));
}

TEST_CASE("an older key that stays under another name is told of") {
    const Home home;
    const KeyFile first = sample_key();
    REQUIRE(import_key(bring(home, first)));
    std::filesystem::create_hard_link(home.path + "/config/oneknock/home.json", home.path + "/copy.json");
    const StandardError errors;
    REQUIRE(import_key(bring(home, next_generation(first, 1, 2))));
    CHECK(errors.text().find("another name as well (a hard link)") != std::string::npos);
}

TEST_CASE("a folder in which others may write is told of, and one that cannot be made is an error") {
    const Home home;
    std::filesystem::create_directories(home.path + "/config/oneknock");
    std::filesystem::permissions(home.path + "/config/oneknock", std::filesystem::perms{0770});
    const StandardError errors;
    REQUIRE(import_key(bring(home, sample_key())));
    CHECK(errors.text().find("chmod go-w " + home.path + "/config/oneknock") != std::string::npos);
    std::filesystem::remove_all(home.path + "/config");
    REQUIRE(create_private_file(home.path + "/config", as_bytes("a file")));
    CHECK(import_key(bring(home, sample_key())).error().code == ExitCode::cannot_create);
}

TEST_CASE("what is set for a door is shown, kept over a new generation, and taken back") {
    const Home home;
    const KeyFile first = sample_key();
    REQUIRE(import_key(bring(home, first)));
    const std::string file = home.path + "/config/oneknock/home.conf";
    {
        const StandardOutput output;
        REQUIRE(set_command({"home", {"via=tcp", "for=5m"}}));
        CHECK(output.text() == "for=5m\nvia=tcp\n");
    }
    REQUIRE(import_key(bring(home, next_generation(first, 1, 2))));
    CHECK(read_defaults("home")->values == OptionValues{{"for", "5m"}, {"via", "tcp"}});
    CHECK(read_defaults("./home")->values.empty());
    for (const char* wrong : {"via", "vai=tcp", "via=pigeon", "wait=", "=tcp", ""})
        CHECK(set_command({"home", {wrong}}).error().code == ExitCode::usage);
    CHECK(set_command({"office", {"via=tcp"}}).error().code == ExitCode::no_input);
    const StandardOutput output;
    REQUIRE(set_command({"home", {"via="}}));
    CHECK(read_defaults("home")->values == OptionValues{{"for", "5m"}});
    REQUIRE(set_command({"home", {"for="}}));
    CHECK_FALSE(std::filesystem::exists(file));
}

TEST_CASE("a door that is removed is gone with its defaults and its next key, also if its key is broken") {
    const Home home;
    REQUIRE(import_key(bring(home, sample_key())));
    REQUIRE(set_command({"home", {"via=tcp"}}));
    REQUIRE(create_private_file(home.path + "/config/oneknock/home.pending", as_bytes("{}")));
    REQUIRE(remove_command({"home"}));
    CHECK(std::filesystem::is_empty(home.path + "/config/oneknock"));
    CHECK(remove_command({"home"}).error().code == ExitCode::no_input);
    REQUIRE(create_private_file(home.path + "/config/oneknock/home.json", as_bytes("{}")));
    CHECK(remove_command({"home"}));
    CHECK(remove_command({"./home.json"}).error().code == ExitCode::usage);
}

TEST_CASE("the next key is not asked for while another command changes the keys, and the others wait for it") {
    const Home home;
    const KeyFile first = sample_key();
    REQUIRE(import_key(bring(home, first)));
    const std::string folder = home.path + "/config/oneknock";
    auto held = KeysLock::take(folder);
    REQUIRE(held);
    RotateOptions rotate;
    rotate.knock.door = "home";
    const auto refused = rotate_command(rotate);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ExitCode::try_later);
    CHECK(refused.error().message ==
          "there is another oneknock command that is changing the keys in " + folder + "; wait until it is done");

    const ImportOptions newer = bring(home, next_generation(first, 1, 2));
    const StandardError errors;
    auto imported = std::async(std::launch::async, [&] { return import_key(newer); });
    while (errors.text().find("waiting for another oneknock command") == std::string::npos) usleep(1000);
    CHECK(open_door("home", sample_time)->key.client.generation == 1);
    held = tl::unexpected(Error{});
    CHECK(imported.get());
    CHECK(open_door("home", sample_time)->key.client.generation == 2);
}

TEST_CASE("another user who may read the folder of the keys does not hold up who changes them") {
    const Home home;
    const KeyFile first = sample_key();
    REQUIRE(import_key(bring(home, first)));
    const std::string folder = home.path + "/config/oneknock";
    const Descriptor others(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(flock(others.get(), LOCK_EX) == 0);
    CHECK_FALSE(KeysLock::take(folder));
    chmod(folder.c_str(), 0755);
    CHECK(KeysLock::take(folder));
    CHECK(import_key(bring(home, next_generation(first, 1, 2))));
    CHECK(open_door("home", sample_time)->key.client.generation == 2);
}

TEST_CASE("what a killed command has left in the folder of imported doors goes with the next one, and nowhere else") {
    const Home home;
    const KeyFile first = sample_key();
    REQUIRE(import_key(bring(home, first)));
    const std::string folder = home.path + "/config/oneknock", left = folder + "/.oneknock-sEcRet";
    const auto leave = [&] { REQUIRE(create_private_file(left, as_bytes("secret"))); };
    RotateOptions rotate;
    rotate.knock.door = "home";
    rotate.knock.service = "no-such";
    const std::pair<const char*, std::function<void()>> commands[] = {
        {"import", [&] { CHECK_FALSE(import_key(bring(home, first))); }},
        {"passphrase",
         [] {
             CHECK_FALSE(passphrase_command({"home", false, lines("")}));
         }},
        {"rotate", [&] { CHECK_FALSE(rotate_command(rotate)); }},
        {"enrol", [] { CHECK(enrol_command({Seconds{60}})); }},
        {"set",
         [] {
             CHECK(set_command({"home", {"via=tcp"}}));
         }},
        {"remove", [] { CHECK(remove_command({"home"})); }}};
    for (const auto& [name, run] : commands) {
        CAPTURE(name);
        leave();
        run();
        CHECK_FALSE(std::filesystem::exists(left));
    }

    leave();
    const auto held = KeysLock::take(home.path);
    CHECK(std::filesystem::exists(left));
    const std::string elsewhere = home.path + "/.oneknock-others";
    REQUIRE(create_private_file(elsewhere, as_bytes("")));
    CHECK_FALSE(KeysLock::take(home.path));
    REQUIRE(KeysLock::wait_for(folder));
    CHECK(std::filesystem::exists(elsewhere));
    CHECK_FALSE(std::filesystem::exists(left));
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

TEST_CASE("a next key that waits keeps the passphrase from being changed, and takes none away") {
    const Home home;
    const KeyFile first = sample_key(), second = next_generation(first, 1, 2);
    REQUIRE(import_key(bring(home, first)));
    const std::string pending = home.path + "/config/oneknock/home.pending";
    REQUIRE(create_private_file(pending, key_file_text(second).bytes()));
    for (const std::string& door : {std::string("home"), *find_door("home")}) {
        const auto refused = passphrase_command({door, false, lines("open sesame\n")});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ExitCode::cannot_create);
        CHECK(refused.error().message.find("rm " + pending) != std::string::npos);
    }
    CHECK(open_door("home", sample_time)->key.client.secret.equals(first.client.secret));

    std::filesystem::rename(pending, home.path + "/moved");
    REQUIRE(passphrase_command({"home", false, lines("open sesame\n")}));
    std::filesystem::rename(home.path + "/moved", pending);
    RotateOptions rotate;
    rotate.knock.door = "home";
    const auto refused = rotate_command(rotate);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ExitCode::cannot_create);
    CHECK(refused.error().message.find("oneknock import " + pending) != std::string::npos);
    ImportOptions import{pending};
    import.key_fd = lines("open sesame\n");
    CHECK(import_key(import)->replaced);
    REQUIRE(rotate_command(rotate));
    CHECK_FALSE(std::filesystem::exists(pending));
    CHECK(open_door("home", sample_time, lines("open sesame\n"))->key.client.secret.equals(second.client.secret));
}

TEST_CASE("a file's name steers no terminal, and is one word of a command that is told") {
    const Home home;
    const std::string path = home.path + "/\x1b[2J'; reboot\n#.json";
    const std::string shown = home.path + "/\\x1b[2J'; reboot\\x0a#.json";
    REQUIRE(create_private_file(path, key_file_text(sample_key()).bytes()));
    const std::string word = "$'" + home.path + "/\\x1b[2J\\'; reboot\\x0a#.json'";
    KnockOptions knock;
    knock.door = path;
    knock.service = "wg";
    knock.wait = default_wait;
    CHECK(open_or_close_command(knock).error().message.find("oneknock run " + word + " wg -- ") != std::string::npos);
    const StandardError errors;
    {
        const StandardOutput output;
        REQUIRE(passphrase_command({path, true}));
        REQUIRE(passphrase_command({path, false, lines("open sesame\n")}));
        CHECK(output.text() == "has no passphrase: " + shown + "\npassphrase set: " + shown + "\n");
    }
    const std::string askpass = home.path + "/askpass";
    REQUIRE(replace_file(askpass, as_bytes("#!/bin/sh\nprintf '%s' \"$1\" >" + askpass + ".asked\nexit 1\n"), 0700));
    setenv("ONEKNOCK_ASKPASS", askpass.c_str(), 1);
    setenv("SSH_ASKPASS_REQUIRE", "force", 1);
    CHECK_FALSE(open_door(path, sample_time));
    CHECK(read_file(askpass + ".asked")->text() == "passphrase of " + shown);
    unsetenv("ONEKNOCK_ASKPASS");

    setenv("SSH_ASKPASS_REQUIRE", "never", 1);
    CHECK(check_passphrase(*read_stored_key(path), path).advice.find("oneknock unlock " + word + ";") !=
          std::string::npos);
    unsetenv("SSH_ASKPASS_REQUIRE");
    REQUIRE(chmod(path.c_str(), 0644) == 0);
    CHECK(read_private_file(path).error().message.ends_with("run: chmod 600 " + word));
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

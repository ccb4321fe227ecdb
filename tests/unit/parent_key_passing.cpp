// What a load of key files tells: all of them at first, then what has changed since the last load that was taken. And
// when it is time for another one.
#include "server/parent/key_passing.hpp"

#include <functional>
#include <map>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/keys_fixtures.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

using State = KeyPassing::State;

// The gatekeeper's end: what one load said.
struct Heard {
    std::map<std::string, std::string> files;  // the text by the file's name
    std::vector<std::string> missing;          // files
    std::map<std::string, int> unopened;       // errno by the file's name
    std::optional<KeyFilesEnd> end;
};

class House {
public:
    House() {
        std::filesystem::create_directory(folder_.path() + "/clients.d");
        config.door = folder_.path() + "/door.json";
        config.clients = folder_.path() + "/clients.d";
        write("door.json", "the door");
        connect();
    }
    void connect() { std::tie(parent, gatekeeper) = *Channel::make_pair(); }

    void write(const std::string& name, const std::string& text) const {
        std::ofstream(folder_.path() + "/" + name) << text;
    }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

    // A whole load; the gatekeeper reads whenever there is no room left.
    Heard load(
        KeyPassing& passing, bool taken = true, const std::function<void()>& after_slice = [] {}) {
        Heard heard;
        passing.begin(++request_, false);
        while (passing.state() == State::more || passing.state() == State::channel_full) {
            passing.step(parent);
            after_slice();
            if (passing.state() != State::more) hear(heard);
        }
        parent.flush();
        hear(heard);
        REQUIRE(heard.end);
        CHECK(heard.end->last_request == request_);
        passing.on_answer(taken);
        CHECK(passing.state() == State::idle);
        return heard;
    }

    DaemonConfig config;
    Channel parent, gatekeeper;

private:
    void hear(Heard& heard) {
        Datagram datagram;
        while (gatekeeper.receive(datagram) == Channel::Received::datagram) {
            if (const auto file = datagram.as<PassedKeyFile>()) {
                char text[64] = {};
                REQUIRE(read(datagram.descriptor.get(), text, sizeof text - 1) >= 0);
                const std::string name = std::filesystem::path(file->name).filename();
                CHECK(file->is_door == (name == "door.json"));
                heard.files[name] = text;
            } else if (const auto missing = datagram.as<MissingKeyFile>()) {
                heard.missing.emplace_back(std::filesystem::path(missing->name).filename());
            } else if (const auto unopened = datagram.as<UnopenedKeyFile>()) {
                heard.unopened[std::filesystem::path(unopened->name).filename()] = unopened->error;
            } else {
                heard.end = datagram.as<KeyFilesEnd>();
            }
        }
    }

    TemporaryFolder folder_;
    RequestId request_ = 0;
};

using Files = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("a load passes what has changed since the last one that was taken") {
    House house;
    for (const char* name : {"alice", "bob", "carol"}) house.write("clients.d/" + std::string(name) + ".json", name);
    house.write("clients.d/.hidden.json", "no client's");
    house.write("clients.d/notes.txt", "no client's");
    const auto hour_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
    std::filesystem::last_write_time(house.path("clients.d/bob.json"),
                                     hour_ago);  // what its owner may set counts for nothing
    KeyPassing passing(house.config);
    const Files all = {
        {"door.json", "the door"}, {"alice.json", "alice"}, {"bob.json", "bob"}, {"carol.json", "carol"}};

    auto heard = house.load(passing, false);  // refused
    CHECK(heard.files == all);
    CHECK(heard.end->count == 4);
    heard = house.load(passing);  // so everything comes once more
    CHECK(heard.files == all);
    CHECK(house.load(passing).files ==
          all);  // and again: each may have been changed in the tick of the clock it was read in

    usleep(2'100'000);
    CHECK(house.load(passing).files == all);
    heard = house.load(passing);
    CHECK(heard.files.empty());
    CHECK(heard.missing.empty());
    CHECK(heard.end->count == 0);

    SECTION("one that was written anew") {
        house.write("clients.d/bob.json", "Bob");
        std::filesystem::last_write_time(house.path("clients.d/bob.json"), hour_ago);
        CHECK(house.load(passing, false).files == Files{{"bob.json", "Bob"}});
        CHECK(house.load(passing).files == Files{{"bob.json", "Bob"}});
    }
    SECTION("one that was replaced by another that is as old, long and named") {
        house.write("clients.d/.new", "bOB");
        std::filesystem::last_write_time(house.path("clients.d/.new"), hour_ago);
        std::filesystem::rename(house.path("clients.d/.new"), house.path("clients.d/bob.json"));
        CHECK(house.load(passing).files == Files{{"bob.json", "bOB"}});
    }
    SECTION("one whose mode was mended") {
        REQUIRE(chmod(house.path("clients.d/bob.json").c_str(), 0600) == 0);
        CHECK(house.load(passing).files == Files{{"bob.json", "bob"}});
    }
    SECTION("the door") {
        house.write("door.json", "another");
        CHECK(house.load(passing).files == Files{{"door.json", "another"}});
    }
    SECTION("one that is gone, until that was taken, and one that came") {
        std::filesystem::rename(house.path("clients.d/bob.json"), house.path("clients.d/dave.json"));
        for (const bool taken : {false, true}) {
            heard = house.load(passing, taken);
            CHECK(heard.missing == std::vector<std::string>{"bob.json"});
            CHECK(heard.files == Files{{"dave.json", "bob"}});
            CHECK(heard.end->count == 2);
        }
        CHECK(house.load(passing).missing.empty());
    }
    SECTION("a link that leads elsewhere") {
        std::filesystem::create_symlink("carol.json", house.path("clients.d/erin.json"));
        house.load(passing);
        std::filesystem::remove(house.path("clients.d/erin.json"));
        std::filesystem::create_symlink("bob.json", house.path("clients.d/erin.json"));
        CHECK(house.load(passing).files == Files{{"erin.json", "bob"}});
    }
    SECTION("what cannot be opened is told of, and holds up nothing else") {
        std::filesystem::create_symlink("nowhere.json", house.path("clients.d/erin.json"));
        std::filesystem::create_symlink("frank.json", house.path("clients.d/frank.json"));
        std::filesystem::create_directory(house.path("clients.d/grace.json"));
        REQUIRE(mkfifo(house.path("clients.d/heidi.json").c_str(), 0600) == 0);
        std::filesystem::remove(house.path("clients.d/bob.json"));
        house.write("clients.d/carol.json", "Carol");
        heard = house.load(passing);
        CHECK(heard.unopened ==
              std::map<std::string, int>{
                  {"erin.json", ENOENT}, {"frank.json", ELOOP}, {"grace.json", 0}, {"heidi.json", 0}});
        CHECK(heard.missing == std::vector<std::string>{"bob.json"});
        CHECK(heard.files == Files{{"carol.json", "Carol"}});
        CHECK(heard.end->count == 6);
        std::filesystem::remove(house.path("clients.d/erin.json"));
        house.write("clients.d/nowhere.json", "nobody");
        std::filesystem::remove(house.path("clients.d/nowhere.json"));
        CHECK(house.load(passing).missing == std::vector<std::string>{"erin.json"});
    }
    SECTION("a door that is gone holds up nothing else") {
        std::filesystem::remove(house.path("door.json"));
        std::filesystem::remove(house.path("clients.d/bob.json"));
        heard = house.load(passing);
        CHECK(heard.unopened == std::map<std::string, int>{{"door.json", ENOENT}});
        CHECK(heard.missing == std::vector<std::string>{"bob.json"});
        house.write("door.json", "the door");
        CHECK(house.load(passing).files == Files{{"door.json", "the door"}});
    }
    SECTION("in a folder that is gone, every file is") {
        std::filesystem::rename(house.path("clients.d"), house.path("elsewhere"));
        heard = house.load(passing);
        CHECK(heard.missing.size() == 3);
        CHECK(heard.unopened == std::map<std::string, int>{{"clients.d", ENOENT}});
        std::filesystem::rename(house.path("elsewhere"), house.path("clients.d"));
        CHECK(house.load(passing).files.size() == 3);
    }
    SECTION("of a folder that cannot be read, no file is gone and none can be opened") {
        if (geteuid() == 0) return;  // who may read everything
        std::filesystem::permissions(house.path("clients.d"), std::filesystem::perms::none);
        heard = house.load(passing);
        std::filesystem::permissions(house.path("clients.d"), std::filesystem::perms::owner_all);
        CHECK(heard.missing.empty());
        CHECK(heard.unopened.size() == 4);
        CHECK(house.load(passing).files.size() == 3);
    }
}

TEST_CASE("a look sees what the paths lead to, however it came there") {
    House house;
    namespace fs = std::filesystem;
    for (const char* name : {"alice", "bob"}) house.write("clients.d/" + std::string(name) + ".json", name);
    fs::create_directories(house.path("v1"));
    house.write("v1/carol.json", "carol");
    fs::create_symlink("v1", house.path("now"));
    fs::create_symlink("../now/carol.json", house.path("clients.d/carol.json"));
    KeyPassing passing(house.config);
    CHECK(passing.has_changed());  // nothing is known
    house.load(passing);
    CHECK(passing.has_changed());  // all of it is of this moment
    usleep(2'100'000);
    house.load(passing);
    REQUIRE_FALSE(passing.has_changed());
    REQUIRE_FALSE(passing.has_changed());
    const auto check_that_it_is_seen_once = [&] {
        CHECK(passing.has_changed());
        usleep(2'100'000);
        house.load(passing);
        CHECK_FALSE(passing.has_changed());
    };

    SECTION("a file that was written") { house.write("clients.d/bob.json", "Bob"); }
    SECTION("a file that came") { house.write("clients.d/dave.json", "dave"); }
    SECTION("a file that went") { fs::remove(house.path("clients.d/bob.json")); }
    SECTION("a file's mode") { REQUIRE(chmod(house.path("clients.d/bob.json").c_str(), 0600) == 0); }
    SECTION("the folder, in whose place another one is") {
        fs::rename(house.path("clients.d"), house.path("old"));
        fs::create_directories(house.path("clients.d"));
    }
    SECTION("the folder, which is gone") { fs::rename(house.path("clients.d"), house.path("old")); }
    SECTION("the folder, which is a link now") {
        fs::rename(house.path("clients.d"), house.path("old"));
        fs::create_symlink("old", house.path("clients.d"));
        house.write("old/bob.json", "Bob");
    }
    SECTION("the door") { house.write("door.json", "another"); }
    SECTION("the door, which is gone") { fs::remove(house.path("door.json")); }
    SECTION("what a file is a link to") { house.write("v1/carol.json", "Carol"); }
    SECTION("a link on the way to a file") {
        fs::create_directories(house.path("v2"));
        house.write("v2/carol.json", "carol");
        fs::create_symlink("v2", house.path("next"));
        fs::rename(house.path("next"), house.path("now"));
    }
    SECTION("a link that leads nowhere now") { fs::remove_all(house.path("v1")); }
    check_that_it_is_seen_once();
}

TEST_CASE("the more files there are, the oftener it is time for a look, and none is left out") {
    House house;
    constexpr std::size_t many = 2500;
    for (std::size_t i = 0; i < many; ++i) house.write("clients.d/c" + std::to_string(i) + ".json", std::to_string(i));
    KeyPassing passing(house.config);
    CHECK(passing.look_interval() == Seconds{3});
    usleep(2'100'000);
    house.load(passing);
    CHECK(passing.look_interval() == Seconds{1});
    for (int round = 0; round < 3; ++round)
        for (int i = 0; i < 3; ++i) REQUIRE_FALSE(passing.has_changed());
    for (const char* name : {"c3", "c1700", "c2499"}) {
        house.write("clients.d/" + std::string(name) + ".json", "another");
        int looks = 1;
        while (!passing.has_changed() && looks < 10) ++looks;
        CHECK(looks <= 3);
        usleep(2'100'000);
        house.load(passing);
    }
}

TEST_CASE("a file that is there but was not listed is not missing") {
    House house;
    for (int i = 0; i < 300; ++i)
        house.write("clients.d/c" + std::to_string(i) + ".json", std::to_string(i));  // two slices
    KeyPassing passing(house.config);
    REQUIRE(house.load(passing).files.size() == 301);
    const std::string name = house.path("clients.d/c7.json"), elsewhere = house.path("elsewhere");
    std::filesystem::rename(name, elsewhere);
    const auto heard = house.load(passing, true, [&] {
        if (std::filesystem::exists(elsewhere)) std::filesystem::rename(elsewhere, name);
    });
    CHECK(heard.missing.empty());
    CHECK(heard.files.contains("c7.json"));
}

TEST_CASE("a load of many files never waits for the gatekeeper to make room") {
    House house;
    constexpr std::size_t many = 1500;
    for (std::size_t i = 0; i < many; ++i) house.write("clients.d/c" + std::to_string(i) + ".json", std::to_string(i));
    KeyPassing passing(house.config);
    passing.begin(1, false);
    int slices = 0;
    while (passing.state() == State::more) {
        passing.step(house.parent);
        ++slices;
    }
    CHECK(passing.state() == State::channel_full);
    passing.step(house.parent);
    CHECK(passing.state() == State::channel_full);

    KeyPassing another(house.config);
    house.connect();
    CHECK(house.load(another).files.size() == many + 1);
}

TEST_CASE("the gatekeeper may tell of services once for each time that the door's file was passed") {
    House house;
    KeyPassing passing(house.config);
    CHECK_FALSE(passing.may_tell_services());
    std::size_t doors = 0;  // what was changed moments ago is passed again
    const auto load = [&] { doors += house.load(passing).files.contains("door.json") ? 1 : 0; };
    load();
    CHECK(doors == 1);
    house.write("clients.d/alice.json", "alice");
    load();
    house.write("door.json", "another door");
    load();
    load();
    CHECK(doors >= 2);
    for (; doors > 0; --doors) CHECK(passing.may_tell_services());
    CHECK_FALSE(passing.may_tell_services());
}

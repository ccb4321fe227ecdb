// What a load of key files passes: all of them at first, then what has changed since the last load that was taken.
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
    std::vector<std::string> missing;
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
        passing.begin(++request_);
        while (passing.state() == State::more || passing.state() == State::channel_full) {
            if (const auto passed = passing.step(parent); !passed) error = passed.error().message;
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
    std::string error;

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
                heard.missing.emplace_back(missing->client);
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
    CHECK((heard.end->is_whole && heard.end->count == 4));
    heard = house.load(passing);  // so everything comes once more
    CHECK(heard.files == all);
    CHECK(house.load(passing).files ==
          all);  // and again: each may have been changed in the tick of the clock it was read in

    usleep(2'100'000);
    CHECK(house.load(passing).files == all);
    heard = house.load(passing);
    CHECK(heard.files.empty());
    CHECK(heard.missing.empty());
    CHECK((heard.end->is_whole && heard.end->count == 0));

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
            CHECK(heard.missing == std::vector<std::string>{"bob"});
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
    SECTION("what cannot be opened fails the load, and does so again until it is mended") {
        std::filesystem::create_symlink("nowhere.json", house.path("clients.d/erin.json"));
        for (int times = 0; times < 2; ++times) {
            CHECK_FALSE(house.load(passing).end->is_whole);
            CHECK(house.error.find("clients.d/erin.json") != std::string::npos);
        }
        std::filesystem::remove(house.path("clients.d/erin.json"));
        CHECK(house.load(passing).end->is_whole);
    }
    SECTION("what is no file is not passed") {
        std::filesystem::create_directory(house.path("clients.d/erin.json"));
        heard = house.load(passing);
        CHECK_FALSE(heard.end->is_whole);
        CHECK(heard.files.empty());
        CHECK(house.error.find("clients.d/erin.json: not a regular file") != std::string::npos);
    }
    SECTION("a folder that is not there fails the load") {
        std::filesystem::rename(house.path("clients.d"), house.path("elsewhere"));
        CHECK_FALSE(house.load(passing).end->is_whole);
        CHECK(house.error.find("No such file or directory") != std::string::npos);
        std::filesystem::rename(house.path("elsewhere"), house.path("clients.d"));
        CHECK(house.load(passing).files.empty());
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
    passing.begin(1);
    int slices = 0;
    while (passing.state() == State::more) {
        REQUIRE(passing.step(house.parent));
        ++slices;
    }
    CHECK(passing.state() == State::channel_full);
    REQUIRE(passing.step(house.parent));
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

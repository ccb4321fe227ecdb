// The record on disk: what survives, and what is done when it does not.
#include "server/gatekeeper/record.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sqlite3.h>

#include "tests/catch.hpp"

using namespace oneknock;
namespace fs = std::filesystem;

namespace {

constexpr UnixTime now{Seconds{1'800'000'000}};
constexpr Seconds tolerance{60};
const DoorId door{{0xab, 0xcd}};

struct Folder {
    std::string path;
    Folder() {
        std::string name = (fs::temp_directory_path() / "oneknock-record-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name + "/";
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    void mark_new(const DoorId& id) const { std::ofstream(path + "new-door") << to_hex(id.bytes) << "\n"; }
    // What another program does to the file.
    void meddle(const char* sql) const {
        sqlite3* db = nullptr;
        REQUIRE(sqlite3_open((path + "oneknock.db").c_str(), &db) == SQLITE_OK);
        CHECK(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
        sqlite3_close(db);
    }
    [[nodiscard]] Record open(UnixTime at = now) const {
        auto record = Record::open(path, door, at, tolerance);
        REQUIRE(record);
        return std::move(*record);
    }
};

void remember(Record& record, std::uint8_t number, UnixTime time = now) {
    record.begin();
    record.add_tag(Tag{{number}}, time, "alice");
    REQUIRE(record.commit());
}

}  // namespace

TEST_CASE("a new door starts without a floor, once") {
    const Folder folder;
    folder.mark_new(door);
    {
        Record record = folder.open();
        CHECK(record.lost() == Record::Loss::none);
        CHECK(record.floor() == UnixTime{});
    }
    CHECK_FALSE(fs::exists(folder.path + "new-door"));
    for (const char* file : {"oneknock.db", "oneknock.db-wal", "oneknock.db-shm"}) fs::remove(folder.path + file);
    CHECK(folder.open().lost() == Record::Loss::missing);
}

TEST_CASE("a missing record, or the marker of another door, closes one window") {
    const Folder folder;
    folder.mark_new(DoorId{{1}});
    const Record record = folder.open();
    CHECK(record.lost() == Record::Loss::missing);
    CHECK(record.floor() == now + tolerance);
}

TEST_CASE("tags, floors and closes are there after opening again") {
    const Folder folder;
    folder.mark_new(door);
    {
        Record record = folder.open();
        remember(record, 1);
        record.begin();
        record.raise_client_floor("bob", now + Seconds{5});
        record.set_last_close("alice", {protocol_tcp, 22}, now);
        REQUIRE(record.commit());
    }
    Record record = folder.open();
    CHECK(record.lost() == Record::Loss::none);
    CHECK(record.holds(Tag{{1}}));
    CHECK_FALSE(record.holds(Tag{{2}}));
    CHECK(record.client_floor("bob") == now + Seconds{5});
    CHECK_FALSE(record.client_floor("alice"));
    CHECK(record.last_close("alice", {protocol_tcp, 22}) == now);
    CHECK_FALSE(record.last_close("alice", {protocol_udp, 22}));
}

TEST_CASE("a turn that was not committed leaves nothing") {
    const Folder folder;
    folder.mark_new(door);
    {
        Record record = folder.open();
        record.begin();
        record.add_tag(Tag{{7}}, now, "alice");
    }
    CHECK_FALSE(folder.open().holds(Tag{{7}}));
}

TEST_CASE("a turn with a failed write is undone as a whole and says so") {
    const Folder folder;
    folder.mark_new(door);
    Record record = folder.open();
    remember(record, 1);
    record.begin();
    record.add_tag(Tag{{2}}, now, "alice");
    record.add_tag(Tag{{1}}, now, "alice");  // there already: the constraint fails
    CHECK_FALSE(record.commit());
    CHECK_FALSE(record.holds(Tag{{2}}));
    remember(record, 3);
    CHECK(record.holds(Tag{{3}}));
}

TEST_CASE("what cannot be looked up refuses") {
    const Folder folder;
    folder.mark_new(door);
    Record record = folder.open();
    folder.meddle("DROP TABLE tag; DROP TABLE client_floor; DROP TABLE last_close;");
    CHECK(record.holds(Tag{{1}}));
    CHECK(record.client_floor("alice") == UnixTime::max());
    CHECK(record.last_close("alice", {protocol_tcp, 22}) == UnixTime::max());
}

TEST_CASE("the floor is durable, never goes back, and stays behind the tags that are kept") {
    const Folder folder;
    folder.mark_new(door);
    {
        Record record = folder.open();
        remember(record, 1, now);
        remember(record, 2, now + Seconds{10});
        REQUIRE(record.prune(now + Seconds{61}, tolerance));
        CHECK(record.floor() == now);
        CHECK_FALSE(record.holds(Tag{{1}}));
        CHECK(record.holds(Tag{{2}}));
        REQUIRE(record.prune(now - Seconds{1000}, tolerance));
        CHECK(record.floor() == now);
    }
    CHECK(folder.open().floor() == now);
}

TEST_CASE("damaged records are put aside and one window is closed") {
    for (const bool truncate : {true, false}) {
        const Folder folder;
        folder.mark_new(door);
        {
            Record record = folder.open();
            for (int i = 0; i < 200; ++i) remember(record, static_cast<std::uint8_t>(i));
        }
        const std::string file = folder.path + "oneknock.db";
        if (truncate) {
            fs::resize_file(file, 100);
        } else {
            std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
            damage << std::string(4096, '\x5a');
        }
        Record record = folder.open();
        CHECK(record.lost() == Record::Loss::damaged);
        CHECK(record.floor() == now + tolerance);
        CHECK(fs::exists(file + ".damaged-" + std::to_string(now.time_since_epoch().count())));
        remember(record, 1);
    }
}

TEST_CASE("the audit knows who holds a grant that can still be live") {
    const Folder folder;
    Record record = folder.open();
    AuditEntry entry{now, "alice", 1, *Address::parse("192.0.2.7"), *Address::parse("192.0.2.7"), {}, Seconds{30}, "accepted", ""};
    entry.request.port = 22;
    record.begin();
    record.audit(entry);
    REQUIRE(record.commit());
    CHECK(record.holder_of({protocol_tcp, 22}, entry.address, now + Seconds{30}) == "alice");
    CHECK_FALSE(record.holder_of({protocol_tcp, 22}, entry.address, now + Seconds{31}));
    CHECK_FALSE(record.holder_of({protocol_tcp, 23}, entry.address, now));
}

// The record on disk: what survives, and what is done when it does not.
#include "server/gatekeeper/record/record.hpp"

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
    CHECK(record.holds(Tag{{1}}, now));
    CHECK_FALSE(record.holds(Tag{{2}}, now));
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
    CHECK_FALSE(folder.open().holds(Tag{{7}}, now));
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
    CHECK_FALSE(record.holds(Tag{{2}}, now));
    remember(record, 3);
    CHECK(record.holds(Tag{{3}}, now));
}

TEST_CASE("what cannot be looked up refuses") {
    const Folder folder;
    folder.mark_new(door);
    Record record = folder.open();
    folder.meddle("DROP TABLE tag; DROP TABLE client_floor; DROP TABLE last_close;");
    CHECK(record.holds(Tag{{1}}, now));
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
        CHECK_FALSE(record.holds(Tag{{1}}, now));
        CHECK(record.holds(Tag{{2}}, now + Seconds{10}));
        REQUIRE(record.prune(now - Seconds{1000}, tolerance));
        CHECK(record.floor() == now);
    }
    CHECK(folder.open().floor() == now);
}

TEST_CASE("damaged records are put aside and one window is closed") {
    constexpr int overwritten = -1;
    for (const int size : {overwritten, 0, 100, 4096, 5000, 20'000}) {
        const Folder folder;
        folder.mark_new(door);
        {
            Record record = folder.open();
            for (int i = 0; i < 200; ++i) remember(record, static_cast<std::uint8_t>(i));
        }
        const std::string file = folder.path + "oneknock.db";
        if (size != overwritten) {
            fs::resize_file(file, static_cast<std::uintmax_t>(size));
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

TEST_CASE("a sound record that cannot be read for now is left as it is, and nothing half made stays behind") {
    const Folder folder;
    folder.mark_new(door);
    const std::string file = folder.path + "oneknock.db", in_the_way = file + "-wal";
    fs::create_directory(in_the_way);
    const auto problem = Record::open(folder.path, door, now, tolerance);
    REQUIRE_FALSE(problem);
    CHECK(problem.error().code == ExitCode::cannot_create);
    CHECK(problem.error().message.find("Check the disk and the folder's owner") != std::string::npos);
    CHECK_FALSE(fs::exists(file));
    CHECK_FALSE(fs::exists(folder.path + "new-door"));  // used up: what may have been begun is not new
    fs::remove_all(in_the_way);
    {
        Record record = folder.open();
        CHECK(record.lost() == Record::Loss::missing);
        remember(record, 1, now + Seconds{90});
    }
    fs::create_directory(in_the_way);
    REQUIRE_FALSE(Record::open(folder.path, door, now, tolerance));
    CHECK(fs::exists(file));
    fs::remove_all(in_the_way);
    Record record = folder.open();
    CHECK(record.lost() == Record::Loss::none);
    CHECK(record.holds(Tag{{1}}, now + Seconds{90}));
}

TEST_CASE("what is in the record's place but cannot be opened is not taken for missing, and left there") {
    const Folder folder;
    const std::string file = folder.path + "oneknock.db";
    for (const char* target : {"elsewhere.db", "oneknock.db"}) {  // to nowhere, and to itself
        fs::create_symlink(target, file);
        REQUIRE_FALSE(Record::open(folder.path, door, now, tolerance));
        CHECK(fs::is_symlink(file));
        CHECK_FALSE(fs::exists(folder.path + "elsewhere.db"));
        fs::remove(file);
    }
    CHECK_FALSE(Record::open(file + "/", door, now, tolerance));  // no folder at all
    std::ofstream(file) << "";
    CHECK_FALSE(Record::open(file + "/", door, now, tolerance));
    CHECK(fs::exists(file));
}

TEST_CASE("a marker of a new door that lies beside a record is taken away") {
    const Folder folder;
    remember(*std::make_unique<Record>(folder.open()), 1);
    folder.mark_new(door);
    CHECK(folder.open().lost() == Record::Loss::none);
    CHECK_FALSE(fs::exists(folder.path + "new-door"));
}

TEST_CASE("pruning goes in slices, each with its floor, until nothing stale is left") {
    const Folder folder;
    folder.mark_new(door);
    Record record = folder.open();
    for (std::uint8_t i = 0; i < 10; ++i) remember(record, i, now + Seconds{i / 3});
    CHECK(record.share_of("alice").tags == 10);
    CHECK(*record.prune(now + Seconds{1000}, tolerance, 4));
    CHECK(record.share_of("alice").tags == 6);
    CHECK(record.floor() == now + Seconds{1});  // so the two others of that second stay refused
    CHECK_FALSE(record.holds(Tag{{3}}, now + Seconds{1}));
    CHECK(record.holds(Tag{{4}}, now + Seconds{1}));
    CHECK(*record.prune(now + Seconds{1000}, tolerance, 4));
    CHECK_FALSE(*record.prune(now + Seconds{1000}, tolerance, 4));
    CHECK_FALSE(record.has_tags());
    CHECK(record.floor() == now + Seconds{3});
}

TEST_CASE("what a client has in the record is known after opening again, and not changed by a turn that failed") {
    const Folder folder;
    folder.mark_new(door);
    {
        Record record = folder.open();
        for (std::uint8_t i = 0; i < 3; ++i) remember(record, i);
        record.begin();
        record.audit({now, "bob", 1, {}, {}, {}, {}, "refused", "stale"});
        REQUIRE(record.commit());
        record.begin();
        record.add_tag(Tag{{7}}, now, "alice");
        record.add_tag(Tag{{7}}, now, "alice");
        CHECK_FALSE(record.commit());
        CHECK(record.share_of("alice").tags == 3);
    }
    const Record record = folder.open();
    CHECK(record.share_of("alice").tags == 3);
    CHECK(record.share_of("bob").lines == 1);
    CHECK(record.share_of("carol").tags == 0);
}

TEST_CASE("a client that fills the audit loses its own oldest lines and no others") {
    auto record = Record::open("", door, now, tolerance);
    REQUIRE(record);
    const auto fill = [&](const char* client, std::int64_t lines) {
        record->begin();
        for (std::int64_t i = 0; i < lines; ++i) record->audit({now, client, 1, {}, {}, {}, {}, "refused", "stale"});
        REQUIRE(record->commit());
    };
    fill("alice", 10);
    fill("mallory", Record::most_lines_per_client + 700);
    int slices = 1;
    for (; *record->prune(now, tolerance, 500); ++slices) REQUIRE(slices < 10);
    CHECK(slices >= 7);
    CHECK(record->share_of("mallory").lines == Record::most_lines_per_client);
    CHECK(record->share_of("alice").lines == 10);
    CHECK_FALSE(*record->prune(now + Record::audit_kept, tolerance));
    CHECK(record->share_of("alice").lines == 10);
    CHECK_FALSE(*record->prune(now + Record::audit_kept + Seconds{1}, tolerance));
    CHECK(record->share_of("alice").lines == 0);
}

TEST_CASE("a record from before the door's generations were noted is kept and goes on") {
    const Folder folder;
    AuditEntry entry;
    entry.when = now;
    entry.client = "alice";
    entry.generation = 2;
    entry.decision = "accepted";
    entry.door_generation = 1;
    const auto file = [&](Record& record) {
        record.begin();
        record.audit(entry);
        REQUIRE(record.commit());
    };
    {
        Record record = folder.open();
        remember(record, 7);
        file(record);
    }
    folder.meddle("ALTER TABLE audit DROP COLUMN door_generation");
    Record record = folder.open();
    CHECK(record.lost() == Record::Loss::none);
    CHECK(record.holds(Tag{{7}}, now));
    auto uses = record.uses_of("alice", now);
    CHECK((uses.of_key.contains(2) && uses.of_door.empty()));
    file(record);
    uses = record.uses_of("alice", now);
    CHECK((uses.of_key.size() == 1 && uses.of_door.contains(1)));
}

TEST_CASE("the log has its room on the disk from the beginning, and what it holds is found again") {
    const Folder folder;
    const auto size_of_log = [&] { return fs::file_size(folder.path + "oneknock.db-wal"); };
    {
        Record record = folder.open();
        CHECK(size_of_log() >= Record::wal_preallocation);
        const auto before = size_of_log();
        for (std::uint8_t number = 0; number < 20; ++number) remember(record, number);
        CHECK(size_of_log() == before);
        fs::copy(folder.path, folder.path + "copy");  // as a crash would leave it: the log is not folded in
    }
    auto copy = Record::open(folder.path + "copy/", door, now, tolerance);
    REQUIRE(copy);
    CHECK(copy->lost() == Record::Loss::none);
    for (std::uint8_t number = 0; number < 20; ++number) CHECK(copy->holds(Tag{{number}}, now));
    CHECK_FALSE(copy->holds(Tag{{99}}, now));
}

TEST_CASE("the log is folded into the file when it is asked for, and starts anew") {
    const Folder folder;
    folder.mark_new(door);
    Record record = folder.open();
    for (int i = 0; i < 200; ++i) remember(record, static_cast<std::uint8_t>(i));
    const auto log = folder.path + "oneknock.db-wal";
    const auto size = fs::file_size(log);
    CHECK(record.wal_has(200));
    CHECK_FALSE(record.wal_has(5000));
    record.checkpoint();
    CHECK_FALSE(record.wal_has(1));
    remember(record, 201);
    CHECK(record.wal_has(1));
    CHECK_FALSE(record.wal_has(50));
    CHECK(fs::file_size(log) == size);  // written over, not cut off: the next commits need no new room on the disk
}

TEST_CASE("the audit knows who holds a grant that can still be live") {
    const Folder folder;
    Record record = folder.open();
    AuditEntry entry{now,         "alice",    1, *Address::parse("192.0.2.7"), *Address::parse("192.0.2.7"), {},
                     Seconds{30}, "accepted", ""};
    entry.request.port = 22;
    record.begin();
    record.audit(entry);
    entry.client = "bob";  // the latest one holds it
    record.audit(entry);
    entry.address = *Address::parse("2001:db8::7");
    entry.duration = Seconds{90};
    record.audit(entry);
    entry.address = *Address::parse("192.0.2.8");
    entry.decision = "refused";
    record.audit(entry);
    REQUIRE(record.commit());
    const Service ssh{protocol_tcp, 22};
    CHECK(record.holders(now + Seconds{30}) == Record::Holders{{{*Address::parse("192.0.2.7"), ssh}, "bob"},
                                                               {{*Address::parse("2001:db8::7"), ssh}, "bob"}});
    CHECK(record.holders(now + Seconds{31}).size() == 1);
    CHECK(record.holders(now + Seconds{91}).empty());
}

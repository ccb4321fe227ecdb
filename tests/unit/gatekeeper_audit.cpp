// The audit on disk and in memory.
#include "server/gatekeeper/record/audit.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sqlite3.h>
#include <sys/resource.h>

#include "tests/catch.hpp"

using namespace oneknock;
namespace fs = std::filesystem;

namespace {

constexpr UnixTime noon{Seconds{1'800'000'000}};

struct Folder {
    std::string path;
    Folder() {
        std::string name = (fs::temp_directory_path() / "oneknock-audit-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name + "/";
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string file() const { return path + "oneknock.db"; }
    // What another program does to the file.
    void meddle(const char* sql) const {
        sqlite3* db = nullptr;
        REQUIRE(sqlite3_open(file().c_str(), &db) == SQLITE_OK);
        CHECK(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
        sqlite3_close(db);
    }
    [[nodiscard]] Audit open() const {
        auto audit = Audit::open(path, noon);
        REQUIRE(audit);
        return std::move(*audit);
    }
};

std::vector<AuditEntry> lines(const std::string& client, std::size_t count) {
    return {count, {noon, client, 1, {}, {}, {}, {}, "refused", "stale"}};
}

}  // namespace

TEST_CASE("how many lines a client has is known after opening again, and not changed by a turn that failed") {
    const Folder folder;
    {
        Audit audit = folder.open();
        REQUIRE(audit.write(lines("bob", 3)));
        folder.meddle("CREATE UNIQUE INDEX one_each ON audit(client) WHERE client='carol'");
        auto mixed = lines("bob", 2);
        mixed.insert(mixed.end(), 2, lines("carol", 1)[0]);
        CHECK_FALSE(audit.write(mixed));
        CHECK(audit.lines_of("bob") == 3);
        folder.meddle("DROP INDEX one_each");
    }
    const Audit audit = folder.open();
    CHECK(audit.lines_of("bob") == 3);
    CHECK(audit.lines_of("carol") == 0);
}

TEST_CASE("the newest generation that was accepted is known, also after opening again") {
    const Folder folder;
    const auto used = [](const std::string& client, std::uint32_t generation, const char* reason) {
        return AuditEntry{noon, client, generation, {}, {}, {}, {}, *reason == 0 ? "accepted" : "refused", reason};
    };
    const auto check = [](const Audit& audit) {
        CHECK(audit.newest_generation_of("alice") == 3);
        CHECK(audit.newest_generation_of("bob") == 0);
        CHECK(audit.newest_generation_of("carol") == 0);
    };
    {
        Audit audit = folder.open();
        REQUIRE(audit.write({used("alice", 3, ""), used("alice", 2, ""), used("alice", 4, "key-expired"),
                             used("bob", 1, ""), used("carol", 2, "key-revoked")}));
        check(audit);
    }
    check(folder.open());
}

TEST_CASE("a clock that is ahead or behind takes no lines away, and the latest time is known") {
    const Folder folder;
    {
        Audit audit = folder.open();
        REQUIRE(audit.write(lines("bob", 2)));
        CHECK_FALSE(*audit.prune(noon + 2 * Audit::kept));
        CHECK(audit.lines_of("bob") == 2);
        auto behind = lines("bob", 1);
        behind[0].when = noon - Seconds{600};
        REQUIRE(audit.write(behind));
    }
    Audit audit = folder.open();
    CHECK(audit.latest() == noon);
    auto later = lines("bob", 1);
    later[0].when = noon + Audit::kept;
    REQUIRE(audit.write(later));
    CHECK_FALSE(*audit.prune(noon + Audit::kept));
    CHECK(audit.lines_of("bob") == 3);  // the one from before noon is too old
    folder.meddle("UPDATE audit SET time=9223372036854775807 WHERE id=1");
    CHECK(folder.open().latest() < UnixTime{Seconds{1} + std::chrono::years{8200}});
}

TEST_CASE("an audit that somebody has analysed is as sound as before") {
    const Folder folder;
    REQUIRE(folder.open().write(lines("bob", 3)));
    folder.meddle("ANALYZE");
    const Audit audit = folder.open();
    CHECK_FALSE(audit.was_damaged());
    CHECK(audit.lines_of("bob") == 3);
}

TEST_CASE("a client that fills the audit loses its own oldest lines and no others") {
    auto audit = Audit::open("", noon);
    REQUIRE(audit);
    REQUIRE(audit->write(lines("alice", 10)));
    REQUIRE(audit->write(lines("mallory", Audit::most_lines_per_client + 700)));
    int slices = 1;
    for (; *audit->prune(noon, 100); ++slices) REQUIRE(slices < 10);
    CHECK(slices >= 7);
    CHECK(audit->lines_of("mallory") == Audit::most_lines_per_client);
    CHECK(audit->lines_of("alice") == 10);
    CHECK_FALSE(*audit->prune(noon + Audit::kept));
    CHECK(audit->lines_of("alice") == 10);
    auto later = lines("bob", 1);
    later[0].when = noon + Audit::kept + Seconds{1};
    REQUIRE(audit->write(later));
    CHECK_FALSE(*audit->prune(noon + Audit::kept + Seconds{1}));
    CHECK(audit->lines_of("alice") == 0);
    CHECK(audit->lines_of("bob") == 1);
}

TEST_CASE("a damaged audit is put aside, and begun anew") {
    for (const int size : {-1, 0, 100, 4096, 5000}) {  // -1: overwritten
        const Folder folder;
        {
            Audit audit = folder.open();
            REQUIRE(audit.write(lines("alice", 200)));
        }
        if (size >= 0) fs::resize_file(folder.file(), static_cast<std::uintmax_t>(size));
        else std::fstream(folder.file(), std::ios::in | std::ios::out | std::ios::binary) << std::string(4096, '\x5a');
        Audit audit = folder.open();
        CHECK(audit.was_damaged());
        CHECK(fs::exists(folder.file() + ".damaged-" + std::to_string(noon.time_since_epoch().count())));
        CHECK(audit.write(lines("alice", 1)));
    }
}

TEST_CASE("an audit into which somebody has put what runs by itself is put aside before it does") {
    const std::string endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT count(*) FROM r";
    const std::string table =
        "DROP TABLE audit; CREATE TABLE audit(id, time, client, generation, source, operation,"
        " protocol, port, address, duration, decision, reason, door_generation";
    const std::string cases[] = {
        "CREATE TRIGGER t AFTER INSERT ON audit BEGIN UPDATE audit SET duration=(" + endless + "); END",
        "CREATE VIEW v AS " + endless,
        "DROP TABLE audit; CREATE VIEW audit AS " + endless,
        "CREATE VIEW tag AS " + endless,
        table + ")",
        table + " CHECK(length(hex(zeroblob(400000000)))>0))",
        table + ", more AS (hex(zeroblob(400000000))))",
        "CREATE INDEX more ON audit(hex(client))",
        "CREATE TABLE more(id)",
        "INSERT INTO audit VALUES(NULL,1,hex(zeroblob(5000)),1,'','','',1,'',1,'','',1)",
    };
    for (const std::string& sql : cases) {
        CAPTURE(sql);
        const Folder folder;
        REQUIRE(folder.open().write(lines("alice", 1)));
        folder.meddle(sql.c_str());
        Audit audit = folder.open();
        CHECK(audit.was_damaged());
        CHECK(audit.write(lines("alice", 1)));
        CHECK(audit.lines_of("alice") == 1);
    }
}

TEST_CASE("an audit that cannot be read for now is left as it is, and nothing half made stays behind") {
    const Folder folder;
    fs::create_directory(folder.file() + "-wal");
    const auto problem = Audit::open(folder.path, noon);
    REQUIRE_FALSE(problem);
    CHECK(problem.error().code == ExitCode::cannot_create);
    CHECK(problem.error().message.find("Check the disk and the folder's owner") != std::string::npos);
    CHECK_FALSE(fs::exists(folder.file()));
    fs::remove_all(folder.file() + "-wal");
    REQUIRE(folder.open().write(lines("alice", 1)));
    fs::create_directory(folder.file() + "-wal");
    CHECK_FALSE(Audit::open(folder.path, noon));
    fs::remove_all(folder.file() + "-wal");
    const Audit audit = folder.open();
    CHECK_FALSE(audit.was_damaged());
    CHECK(audit.lines_of("alice") == 1);
}

TEST_CASE("what is in the audit's place but cannot be opened is left there") {
    const Folder folder;
    for (const char* target : {"elsewhere.db", "oneknock.db"}) {  // to nowhere, and to itself
        fs::create_symlink(target, folder.file());
        CHECK_FALSE(Audit::open(folder.path, noon));
        CHECK(fs::is_symlink(folder.file()));
        fs::remove(folder.file());
    }
}

TEST_CASE("an audit of earlier versions is kept and goes on") {
    const Folder folder;
    AuditEntry entry = lines("alice", 1)[0];
    entry.generation = 2;
    entry.decision = "accepted";
    entry.door_generation = 1;
    REQUIRE(folder.open().write({entry}));
    folder.meddle("ALTER TABLE audit DROP COLUMN door_generation");  // from before they were noted
    folder.meddle("CREATE TABLE tag(tag BLOB, time INTEGER)");       // when the replay record was here
    Audit audit = folder.open();
    CHECK_FALSE(audit.was_damaged());
    auto uses = audit.uses_of("alice", noon);
    CHECK((uses.of_key.contains(2) && uses.of_door.empty()));
    REQUIRE(audit.write({entry}));
    uses = audit.uses_of("alice", noon);
    CHECK((uses.of_key.size() == 1 && uses.of_door.contains(1)));
    folder.meddle("CREATE TABLE tag(gone INTEGER)");
}

TEST_CASE("the log is folded into the file when it is asked for, and starts anew") {
    const Folder folder;
    Audit audit = folder.open();
    for (int i = 0; i < 200; ++i) REQUIRE(audit.write(lines("alice", 1)));
    const auto size = fs::file_size(folder.file() + "-wal");
    CHECK(audit.wal_has(200));
    CHECK_FALSE(audit.wal_has(5000));
    audit.checkpoint();
    CHECK_FALSE(audit.wal_has(1));
    REQUIRE(audit.write(lines("alice", 1)));
    CHECK(audit.wal_has(1));
    CHECK_FALSE(audit.wal_has(50));
    CHECK(fs::file_size(folder.file() + "-wal") == size);  // written over, not cut off
}

TEST_CASE("SQLite's randomness needs no file") {
    const auto audit = Audit::open("", noon);
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{0, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    std::array<char, 64> first{}, second{};
    sqlite3_vfs* files = sqlite3_vfs_find(nullptr);
    files->xRandomness(files, first.size(), first.data());
    files->xRandomness(files, second.size(), second.data());
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(first != second);
    CHECK(std::count(first.begin(), first.end(), '\0') < 16);  // the file's own would leave most of it as it was
}

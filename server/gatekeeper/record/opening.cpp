// Opening the record: found sound, made new, or put aside as damaged and made new.
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.hpp"
#include "keys/record_schema.hpp"
#include "server/gatekeeper/record/record.hpp"

namespace oneknock {
namespace {

constexpr const char* memory_only = ":memory:";

// Each table's key is in the order in which rows come, so that a knock writes to the same few pages as the one before;
// but for the clients' lines of the audit, which are asked for by client.
constexpr const char* schema =
    "BEGIN;"
    "CREATE TABLE floor(id INTEGER PRIMARY KEY CHECK(id=0), time INTEGER NOT NULL);"
    "CREATE TABLE tag(tag BLOB NOT NULL, time INTEGER NOT NULL, client TEXT NOT NULL, PRIMARY KEY(time, tag)) WITHOUT "
    "ROWID;"
    "CREATE TABLE client_floor(client TEXT PRIMARY KEY, time INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE last_close(client TEXT, protocol INTEGER, port INTEGER, time INTEGER NOT NULL,"
    " PRIMARY KEY(client, protocol, port)) WITHOUT ROWID;"
    "CREATE INDEX last_close_by_time ON last_close(time);"
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, client TEXT NOT NULL, generation INTEGER NOT "
    "NULL,"
    " source TEXT NOT NULL, operation TEXT NOT NULL, protocol TEXT NOT NULL, port INTEGER NOT NULL, address TEXT NOT "
    "NULL,"
    " duration INTEGER NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL,"
    " door_generation INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX audit_by_time ON audit(time);"
    "CREATE INDEX audit_by_client ON audit(client, time);"
    "PRAGMA user_version=1;";

// True if the folder says that this door's record was never begun.
bool is_new_door(const std::string& folder, const DoorId& door) {
    const auto marker = read_file(folder + new_door_name);
    if (!marker) return false;
    auto text = marker->text();
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    DoorId found;
    return from_hex(text, found.bytes) && found == door;
}

// True once the folder says so no more, durably: a record that is missing from then on was lost.
bool remove_marker(const std::string& folder) {
    if (unlink((folder + new_door_name).c_str()) != 0) return errno == ENOENT;
    const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return opened && fsync(opened.get()) == 0;
}

// Behind what the log holds, where SQLite looks for no more than it finds valid. Where that fails, it will be appended
// to.
void preallocate_wal(const std::string& path, std::size_t room) {
    const Descriptor log(::open((path + "-wal").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
    struct stat info {};
    if (!log || fstat(log.get(), &info) != 0) return;
    constexpr std::size_t step = 64 * 1024;
    const std::vector<char> nothing(step);
    for (auto size = static_cast<std::size_t>(info.st_size); size < room; size += step)
        if (write(log.get(), nothing.data(), step) != static_cast<ssize_t>(step)) break;
    fsync(log.get());
}

bool put_aside(const std::string& path, UnixTime now) {
    const std::string aside = path + ".damaged-" + std::to_string(now.time_since_epoch().count());
    if (std::rename(path.c_str(), aside.c_str()) != 0) return false;
    for (const char* suffix : record_suffixes) std::rename((path + suffix).c_str(), (aside + suffix).c_str());
    return true;
}

// Only a file of which the system says that there is none is missing: what cannot be looked at may be a good record.
Result<bool> is_there(const std::string& path) {
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0) return true;
    if (errno == ENOENT) return false;
    return tl::unexpected(system_error("examine", path, ExitCode::cannot_create));
}

// An empty one, which is ours to remove again. Whatever has come to be there meanwhile is not.
bool create_empty(const std::string& path) {
    return static_cast<bool>(Descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)));
}

}  // namespace

Result<Record> Record::open(const std::string& folder, const DoorId& door, UnixTime now, Seconds tolerance) {
    const bool in_memory = folder.empty();
    const std::string path = in_memory ? memory_only : folder + std::string(record_file_name);
    const auto found_file = in_memory ? Result<bool>(false) : is_there(path);
    if (!found_file) return tl::unexpected(found_file.error());
    const bool existed = *found_file;
    const bool had_marker = !in_memory && is_new_door(folder, door);
    const bool is_new = in_memory || (had_marker && !existed && remove_marker(folder));
    Record record;
    const auto give_up = [&](const std::string& problem) {
        return fail(ExitCode::cannot_create,
                    "the replay record " + std::string(record_file_name) + " in the state folder: " + problem +
                        "; without it no knock can be accepted. Check the disk and the folder's owner");
    };
    const auto found = existed ? record.read_existing(path) : Database::Condition::damaged;
    if (found == Database::Condition::unreadable) return give_up(record.db_.problem());
    if (found == Database::Condition::damaged) {
        record = Record();
        if (existed && !put_aside(path, now)) return give_up("it is damaged, and cannot be put aside");
        if (const auto problem = record.begin_anew(path, is_new ? UnixTime{} : now + tolerance))
            return give_up(*problem);
        record.lost_ = existed ? Loss::damaged : is_new ? Loss::none : Loss::missing;
    }
    if (!in_memory) preallocate_wal(path, wal_preallocation);
    if (had_marker) static_cast<void>(remove_marker(folder));  // beside a record that was begun it means nothing
    return record;
}

Database::Condition Record::read_existing(const std::string& path) {
    if (!db_.open(path)) return db_.after_failure();
    if (const auto found = db_.check(); found != Database::Condition::sound) return found;
    if (const auto found = read_floor(); found != Database::Condition::sound) return found;
    // Records from before there was this column do not know which of the door's generations was used.
    if (!db_.prepare("SELECT door_generation FROM audit") &&
        !db_.run("ALTER TABLE audit ADD COLUMN door_generation INTEGER NOT NULL DEFAULT 0"))
        return db_.after_failure();
    if (!prepare_all() || !count_all()) return db_.after_failure();
    return Database::Condition::sound;
}

std::optional<std::string> Record::begin_anew(const std::string& path, UnixTime floor) {
    const bool in_memory = path == memory_only;
    if (!in_memory && !create_empty(path)) return std::strerror(errno);
    if (make_new(path, floor)) return std::nullopt;
    const std::string problem = db_.problem();
    *this = Record();  // closed: what is half made is nobody's record
    for (const char* suffix : record_suffixes)
        if (!in_memory) unlink((path + suffix).c_str());
    return problem;
}

bool Record::make_new(const std::string& path, UnixTime floor) {
    const std::string insert =
        "INSERT INTO floor VALUES(0," + std::to_string(floor.time_since_epoch().count()) + "); COMMIT;";
    return db_.open(path) && db_.run(schema) && db_.run(insert.c_str()) && read_floor() == Database::Condition::sound &&
           prepare_all();
}

Database::Condition Record::read_floor() {
    const Prepared prepared = db_.prepare("SELECT time FROM floor WHERE id=0");
    Statement find(prepared);
    if (!prepared || !find.row()) return db_.after_failure();
    floor_ = find.time(0);
    return Database::Condition::sound;
}

bool Record::prepare_all() {
    const std::string uses = uses_query();
    const std::pair<Prepared*, const char*> all[] = {
        {&find_tag_, "SELECT 1 FROM tag WHERE time=? AND tag=?"},
        {&find_client_floor_, "SELECT time FROM client_floor WHERE client=?"},
        {&find_close_, "SELECT time FROM last_close WHERE client=? AND protocol=? AND port=?"},
        {&insert_tag_, "INSERT INTO tag VALUES(?,?,?)"},
        {&put_client_floor_,
         "INSERT INTO client_floor VALUES(?,?) ON CONFLICT DO UPDATE SET time=max(time,excluded.time)"},
        {&put_close_, "INSERT INTO last_close VALUES(?,?,?,?) ON CONFLICT DO UPDATE SET time=max(time,excluded.time)"},
        {&insert_audit_, "INSERT INTO audit VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?)"},
        {&find_stale_, "SELECT time, tag, client FROM tag WHERE time<? ORDER BY time, tag LIMIT ?"},
        {&delete_stale_, "DELETE FROM tag WHERE (time, tag)<=(?,?)"},
        {&put_floor_, "UPDATE floor SET time=max(time,?)"},
        {&delete_closes_,
         "DELETE FROM last_close WHERE (client, protocol, port) IN"
         " (SELECT client, protocol, port FROM last_close WHERE time<? LIMIT ?)"},
        {&delete_old_, "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time<? LIMIT ?) RETURNING client"},
        {&delete_first_, "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?) RETURNING client"},
        {&delete_of_client_,
         "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE client=? ORDER BY time, id LIMIT ?)"
         " RETURNING client"},
        {&find_holders_,
         "SELECT client, protocol, port, address FROM audit WHERE time>=? AND decision='accepted'"
         " AND operation='open' AND time+duration>=? ORDER BY time, id"},
        {&find_uses_, uses.c_str()}};
    for (const auto& [prepared, sql] : all)
        if (*prepared = db_.prepare(sql); !*prepared) return false;
    return true;
}

bool Record::count_all() {
    const std::pair<const char*, std::int64_t Share::*> all[] = {
        {"SELECT client, count(*) FROM tag GROUP BY client", &Share::tags},
        {"SELECT client, count(*) FROM audit GROUP BY client", &Share::lines}};
    for (const auto& [sql, kind] : all) {
        const Prepared prepared = db_.prepare(sql);
        Statement counts(prepared);
        while (prepared && counts.row()) {
            Share share;
            share.*kind = counts.integer(1);
            count(counts.text(0), share);
        }
        if (!prepared || counts.failed()) return false;
    }
    return true;
}

}  // namespace oneknock

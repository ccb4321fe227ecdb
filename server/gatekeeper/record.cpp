#include "server/gatekeeper/record.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include <sqlite3.h>
#include <unistd.h>

#include "common/files.hpp"

namespace oneknock {
namespace {

constexpr const char* marker_name = "new-door";

constexpr const char* settings =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-512;"
    "PRAGMA busy_timeout=2000; PRAGMA foreign_keys=OFF; PRAGMA trusted_schema=OFF;";

constexpr const char* schema =
    "BEGIN;"
    "CREATE TABLE floor(id INTEGER PRIMARY KEY CHECK(id=0), time INTEGER NOT NULL);"
    "CREATE TABLE tag(tag BLOB PRIMARY KEY, time INTEGER NOT NULL, client TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX tag_by_time ON tag(time);"
    "CREATE INDEX tag_by_client ON tag(client);"
    "CREATE TABLE client_floor(client TEXT PRIMARY KEY, time INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE last_close(client TEXT, protocol INTEGER, port INTEGER, time INTEGER NOT NULL,"
    " PRIMARY KEY(client, protocol, port)) WITHOUT ROWID;"
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, client TEXT NOT NULL, generation INTEGER NOT NULL,"
    " source TEXT NOT NULL, operation TEXT NOT NULL, protocol TEXT NOT NULL, port INTEGER NOT NULL, address TEXT NOT NULL,"
    " duration INTEGER NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL);"
    "CREATE INDEX audit_by_time ON audit(time);"
    "CREATE INDEX audit_by_client ON audit(client, time);"
    "PRAGMA user_version=1;";

std::int64_t seconds_of(UnixTime time) { return time.time_since_epoch().count(); }
UnixTime time_of(std::int64_t seconds) { return UnixTime{Seconds{seconds}}; }

// True if the folder says that this door's record was never begun.
bool is_new_door(const std::string& folder, const DoorId& door) {
    const auto marker = read_file(folder + marker_name);
    if (!marker) return false;
    auto text = marker->text();
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    DoorId found;
    return from_hex(text, found.bytes) && found == door;
}

}  // namespace

void Record::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }
void Record::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

// One execution of a prepared statement: bind in order, step, read; reset at the end of the scope.
class Record::Statement {
public:
    explicit Statement(const Prepared& prepared) : statement_(prepared.get()) {}
    ~Statement() {
        sqlite3_reset(statement_);
        sqlite3_clear_bindings(statement_);
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(std::int64_t value) {
        sqlite3_bind_int64(statement_, ++bound_, value);
        return *this;
    }
    Statement& bind(std::string_view text) {
        sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
        return *this;
    }
    Statement& bind(const Tag& tag) {
        sqlite3_bind_blob(statement_, ++bound_, tag.bytes.data(), static_cast<int>(tag.bytes.size()), SQLITE_TRANSIENT);
        return *this;
    }
    // A row is there; after the last one `done` tells whether all went well.
    bool row() { return (status_ = sqlite3_step(statement_)) == SQLITE_ROW; }
    bool done() {
        while (row()) {}
        return status_ == SQLITE_DONE;
    }
    [[nodiscard]] bool failed() const { return status_ != SQLITE_ROW && status_ != SQLITE_DONE; }
    [[nodiscard]] std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
    [[nodiscard]] bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
    [[nodiscard]] std::string text(int column) const {
        const auto* text = sqlite3_column_text(statement_, column);
        return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
    }

private:
    sqlite3_stmt* statement_;
    int bound_ = 0;
    int status_ = SQLITE_OK;
};

Record::Record(Record&&) noexcept = default;
Record& Record::operator=(Record&&) noexcept = default;
Record::~Record() = default;

bool Record::run(const char* sql) { return sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK; }

std::string Record::problem() const { return db_ ? sqlite3_errmsg(db_.get()) : "out of memory"; }

// SQLite reports what it finds as rows; a sound database gives the one row "ok".
bool Record::is_sound() {
    sqlite3_stmt* statement = nullptr;
    const bool prepared = sqlite3_prepare_v2(db_.get(), "PRAGMA quick_check(1)", -1, &statement, nullptr) == SQLITE_OK;
    const Prepared owner(statement);
    Statement check(owner);
    return prepared && check.row() && check.text(0) == "ok";
}

Result<void> Record::connect(const std::string& path) {
    sqlite3* db = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    const int status = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
    db_.reset(db);
    if (status != SQLITE_OK || !run(settings)) return fail(Exit::cannot_create, problem());
    return {};
}

bool Record::prepare_all() {
    const std::pair<Prepared*, const char*> all[] = {
        {&find_tag_, "SELECT 1 FROM tag WHERE tag=?"},
        {&count_tags_, "SELECT count(*) FROM tag WHERE client=?"},
        {&count_audit_, "SELECT count(*) FROM audit WHERE client=?"},
        {&find_client_floor_, "SELECT time FROM client_floor WHERE client=?"},
        {&find_close_, "SELECT time FROM last_close WHERE client=? AND protocol=? AND port=?"},
        {&insert_tag_, "INSERT INTO tag VALUES(?,?,?)"},
        {&put_client_floor_, "INSERT INTO client_floor VALUES(?,?) ON CONFLICT DO UPDATE SET time=max(time,excluded.time)"},
        {&put_close_, "INSERT INTO last_close VALUES(?,?,?,?) ON CONFLICT DO UPDATE SET time=max(time,excluded.time)"},
        {&insert_audit_, "INSERT INTO audit VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?)"},
        {&newest_stale_, "SELECT max(time) FROM tag WHERE time<?"},
        {&delete_stale_, "DELETE FROM tag WHERE time<?"},
        {&put_floor_, "UPDATE floor SET time=max(time,?)"},
        {&delete_audit_, "DELETE FROM audit WHERE time<?"},
        {&delete_closes_, "DELETE FROM last_close WHERE time<?"},
        {&any_tag_, "SELECT 1 FROM tag LIMIT 1"},
        {&find_holder_, "SELECT client FROM audit WHERE decision='accepted' AND operation='open' AND protocol=? AND port=?"
                        " AND address=? AND time+duration>=? AND time>=? ORDER BY id DESC LIMIT 1"}};
    for (const auto& [prepared, sql] : all) {
        sqlite3_stmt* statement = nullptr;
        if (sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) return false;
        prepared->reset(statement);
    }
    return true;
}

bool Record::start_new(UnixTime floor) {
    if (!run(schema)) return false;
    const std::string insert = "INSERT INTO floor VALUES(0," + std::to_string(seconds_of(floor)) + "); COMMIT;";
    return run(insert.c_str());
}

bool Record::read_floor() {
    sqlite3_stmt* statement = nullptr;
    const bool prepared = sqlite3_prepare_v2(db_.get(), "SELECT time FROM floor WHERE id=0", -1, &statement, nullptr) == SQLITE_OK;
    const Prepared owner(statement);
    if (!prepared) return false;
    Statement find(owner);
    if (!find.row()) return false;
    floor_ = time_of(find.integer(0));
    return true;
}

Result<Record> Record::open(const std::string& folder, const DoorId& door, UnixTime now, Seconds tolerance) {
    Record record;
    const bool in_memory = folder.empty();
    const std::string path = in_memory ? ":memory:" : folder + std::string(file_name);
    const bool existed = !in_memory && access(path.c_str(), F_OK) == 0;
    const bool is_new = in_memory || (!existed && is_new_door(folder, door));
    const auto give_up = [&] {
        return fail(Exit::cannot_create, "the replay record " + std::string(file_name) + " in the state folder: " + record.problem() +
                                             "; without it no knock can be accepted. Check the disk and the folder's owner");
    };
    const UnixTime lost_floor = now + tolerance;
    const auto connected = record.connect(path);
    if (existed && (!connected || !record.is_sound() || !record.read_floor() || !record.prepare_all())) {
        // Damaged: kept aside for whoever wants to look; its side files belong to it.
        record = Record();
        const std::string aside = path + ".damaged-" + std::to_string(seconds_of(now));
        if (std::rename(path.c_str(), aside.c_str()) != 0) return give_up();
        for (const char* suffix : {"-wal", "-shm"}) std::rename((path + suffix).c_str(), (aside + suffix).c_str());
        record.lost_ = Loss::damaged;
        if (!record.connect(path) || !record.start_new(lost_floor)) return give_up();
    } else if (!existed) {
        record.lost_ = is_new ? Loss::none : Loss::missing;
        if (!connected || !record.start_new(is_new ? UnixTime{} : lost_floor)) return give_up();
        if (!in_memory && is_new) unlink((folder + marker_name).c_str());
    }
    if (!record.read_floor() || !record.prepare_all()) return give_up();
    return record;
}

void Record::note(bool succeeded) {
    if (succeeded || failed_) return;
    failed_ = true;
    first_problem_ = problem();
}

bool Record::holds(const Tag& tag) {
    Statement find(find_tag_);
    const bool found = find.bind(tag).row();
    note(!find.failed());
    return found || find.failed();  // what cannot be looked up counts as used
}

std::int64_t Record::tags_of(std::string_view client) {
    Statement count(count_tags_);
    note(count.bind(client).row());
    return count.failed() ? most_tags_per_client : count.integer(0);
}

std::int64_t Record::audited_of(std::string_view client) {
    Statement count(count_audit_);
    note(count.bind(client).row());
    return count.failed() ? 0 : count.integer(0);
}

std::optional<UnixTime> Record::client_floor(std::string_view client) {
    Statement find(find_client_floor_);
    const bool found = find.bind(client).row();
    note(!find.failed());
    if (find.failed()) return UnixTime::max();  // what cannot be looked up counts as used
    return found ? std::optional(time_of(find.integer(0))) : std::nullopt;
}

std::optional<UnixTime> Record::last_close(std::string_view client, const Service& service) {
    Statement find(find_close_);
    const bool found = find.bind(client).bind(service.protocol).bind(service.port).row();
    note(!find.failed());
    if (find.failed()) return UnixTime::max();  // likewise: as if it were closed for good
    return found ? std::optional(time_of(find.integer(0))) : std::nullopt;
}

void Record::begin() {
    failed_ = false;
    in_turn_ = true;
    note(run("BEGIN IMMEDIATE"));
}

void Record::add_tag(const Tag& tag, UnixTime time, std::string_view client) {
    Statement insert(insert_tag_);
    note(insert.bind(tag).bind(seconds_of(time)).bind(client).done());
}

void Record::raise_client_floor(std::string_view client, UnixTime floor) {
    Statement put(put_client_floor_);
    note(put.bind(client).bind(seconds_of(floor)).done());
}

void Record::set_last_close(std::string_view client, const Service& service, UnixTime time) {
    Statement put(put_close_);
    note(put.bind(client).bind(service.protocol).bind(service.port).bind(seconds_of(time)).done());
}

void Record::audit(const AuditEntry& entry) {
    Statement insert(insert_audit_);
    insert.bind(seconds_of(entry.when)).bind(entry.client).bind(entry.generation).bind(entry.source.text());
    insert.bind(operation_name(entry.request.operation)).bind(protocol_name(entry.request.protocol)).bind(entry.request.port);
    insert.bind(entry.address.text()).bind(entry.duration.count()).bind(entry.decision).bind(entry.reason);
    note(insert.done());
}

Result<void> Record::commit() {
    in_turn_ = false;
    if (!failed_) note(run("COMMIT"));
    if (!failed_) return {};
    static_cast<void>(run("ROLLBACK"));
    return fail(Exit::cannot_create, "cannot write the replay record: " + first_problem_);
}

bool Record::is_empty() {
    Statement any(any_tag_);
    return !any.row() && !any.failed();
}

Result<void> Record::prune(UnixTime now, Seconds tolerance) {
    const UnixTime stale_before = now - tolerance;  // time + tolerance < now: refused as stale from now on
    begin();
    std::optional<UnixTime> newest;
    {
        Statement find(newest_stale_);
        note(find.bind(seconds_of(stale_before)).row());
        if (!failed_ && !find.is_null(0)) newest = time_of(find.integer(0));
    }
    if (newest) {
        // The floor follows what is forgotten, not the clock: a clock that jumped ahead locks nobody out for good.
        note(Statement(put_floor_).bind(seconds_of(*newest)).done());
        note(Statement(delete_stale_).bind(seconds_of(stale_before)).done());
        note(Statement(delete_closes_).bind(seconds_of(stale_before)).done());
    }
    note(Statement(delete_audit_).bind(seconds_of(now - audit_kept)).done());
    const auto committed = commit();
    if (committed && newest) floor_ = std::max(floor_, *newest);
    return committed;
}

std::optional<std::string> Record::holder_of(const Service& service, const Address& address, UnixTime now) {
    constexpr Seconds longest_grant{65535};
    Statement find(find_holder_);
    find.bind(protocol_name(service.protocol)).bind(service.port).bind(address.text());
    if (!find.bind(seconds_of(now)).bind(seconds_of(now - longest_grant)).row()) return std::nullopt;
    return find.text(0);
}

}  // namespace oneknock

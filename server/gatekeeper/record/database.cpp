#include "server/gatekeeper/record/database.hpp"

#include <sqlite3.h>
#include <unistd.h>

#include "common/secret.hpp"
#include "keys/record_files.hpp"

namespace oneknock {
namespace {

// Without automatic checkpoints: they would come inside the commit of some knock, and cost it many times its own.
constexpr const char* settings =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY;"
    "PRAGMA cache_size=-2048; PRAGMA busy_timeout=2000; PRAGMA foreign_keys=OFF; PRAGMA trusted_schema=OFF;";

// SQLite would read /dev/urandom, which is not in the state folder, and make do with the time and its process id.
int fill_with_random(sqlite3_vfs*, int count, char* bytes) {
    fill_random({reinterpret_cast<std::uint8_t*>(bytes), static_cast<std::size_t>(count)});
    return count;
}

bool may_sleep = true;

// Beside waiting for a lock, SQLite sleeps up to ten seconds where those of the write-ahead log contradict each other.
int sleep_if_allowed(sqlite3_vfs*, int microseconds) {
    if (may_sleep) usleep(static_cast<useconds_t>(microseconds));
    return microseconds;
}

void use_our_calls() {
    static sqlite3_vfs files = [] {
        sqlite3_vfs copy = *sqlite3_vfs_find(nullptr);
        copy.pNext = nullptr;
        copy.zName = "oneknock";
        copy.xRandomness = fill_with_random;
        copy.xSleep = sleep_if_allowed;
        return copy;
    }();
    sqlite3_vfs_register(&files, 1);
}

}  // namespace

void Database::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }
void FinalizeStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

bool Database::open(const std::string& path) {
    use_our_calls();
    sqlite3* db = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    const int status = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
    db_.reset(db);
    if (status != SQLITE_OK) return false;
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, longest_in_audit);
    if (!run(settings)) return false;
    const auto note_pages = [](void* log, sqlite3*, const char*, int pages) {
        static_cast<Log*>(log)->pages = static_cast<std::size_t>(pages);
        return SQLITE_OK;
    };
    sqlite3_wal_hook(db, note_pages, log_.get());
    return true;
}

void Database::wait_no_more() {
    sqlite3_busy_timeout(db_.get(), 0);
    may_sleep = false;
}

bool Database::run(const char* sql) { return sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK; }

Prepared Database::prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    return Prepared(statement);
}

// SQLite reports what it finds as rows; a sound file gives the one row "ok".
Database::Condition Database::check() {
    const Prepared prepared = prepare("PRAGMA quick_check(1)");
    if (!prepared) return after_failure();
    Statement check(prepared);
    if (!check.row()) return after_failure();
    return check.text(0) == "ok" ? Condition::sound : Condition::damaged;
}

Database::Condition Database::finds_none(const std::string& query) {
    const Prepared prepared = prepare(query.c_str());
    if (!prepared) return after_failure();
    Statement find(prepared);
    if (find.row()) return Condition::damaged;
    return find.failed() ? after_failure() : Condition::sound;
}

std::string Database::problem() const { return db_ ? sqlite3_errmsg(db_.get()) : "out of memory"; }

Database::Condition Database::after_failure() const {
    if (!db_) return Condition::unreadable;
    if (sqlite3_extended_errcode(db_.get()) == SQLITE_IOERR_SHORT_READ) return Condition::damaged;  // cut off
    switch (sqlite3_errcode(db_.get()) & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_TOOBIG:
        case SQLITE_ERROR:  // "no such table"
        case SQLITE_OK:     // nothing failed but what was expected
        case SQLITE_ROW:
        case SQLITE_DONE: return Condition::damaged;
        default: return Condition::unreadable;
    }
}

bool Database::wal_has(std::size_t pages) const {
    return log_->pages >= pages + (log_->pages >= log_->folded ? log_->folded : 0);
}

void Database::checkpoint() {
    int pages = 0, folded = 0;
    const int status = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &pages, &folded);
    log_->folded = log_->pages;
    if (status == SQLITE_OK && pages == folded) *log_ = {};  // the next commit starts it anew
}

Statement::~Statement() {
    if (statement_ == nullptr) return;  // it could not be prepared
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
}

Statement& Statement::bind(std::int64_t value) {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
}

Statement& Statement::bind(std::string_view text) {
    sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    return *this;
}

bool Statement::row() { return (status_ = sqlite3_step(statement_)) == SQLITE_ROW; }

bool Statement::done() {
    while (row()) {}
    return status_ == SQLITE_DONE;
}

bool Statement::failed() const { return status_ != SQLITE_ROW && status_ != SQLITE_DONE; }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Statement::text(int column) const {
    const auto* text = sqlite3_column_text(statement_, column);
    return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
}

}  // namespace oneknock

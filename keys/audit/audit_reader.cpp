#include "keys/audit/audit_reader.hpp"

#include <sqlite3.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "keys/audit/confinement.hpp"
#include "keys/record_files.hpp"

namespace oneknock {
namespace {

constexpr const char* settings =
    "PRAGMA busy_timeout=2000; PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
    "PRAGMA cell_size_check=ON;";

// By id, as they were written; "+": not by an index, which would sort them all.
constexpr const char* lines_query =
    "SELECT id, time, client, generation, source, operation, protocol, port, address, duration, decision, reason"
    " FROM audit WHERE id>?1 AND (?2 IS NULL OR +client=?2) AND (?3 IS NULL OR (protocol=?3 AND port=?4))"
    " AND +time BETWEEN ?5 AND ?6 AND (?7 IS NULL OR decision=?7 OR reason=?7) ORDER BY id LIMIT ?8";

// What the daemon does with a damaged one: server/gatekeeper/record/audit.
constexpr const char* renewal = "; a damaged audit is put aside, and begun anew, when oneknockd is restarted";

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

Statement prepare(sqlite3* db, const char* sql) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(db, sql, -1, &statement, nullptr);
    return Statement(statement);
}

UnixTime time_in(sqlite3_stmt* row, int column) { return UnixTime{Seconds{sqlite3_column_int64(row, column)}}; }

// What is not a text in the database is an empty one.
std::string text_in(sqlite3_stmt* row, int column) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
    return text == nullptr ? "" : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(row, column)));
}

void bind_text(sqlite3_stmt* statement, int at, const std::optional<std::string>& text) {
    if (text) sqlite3_bind_text(statement, at, text->data(), static_cast<int>(text->size()), SQLITE_TRANSIENT);
}

AuditLine line_in(sqlite3_stmt* row) {
    return {.id = sqlite3_column_int64(row, 0),
            .when = time_in(row, 1),
            .client = text_in(row, 2),
            .generation = sqlite3_column_int64(row, 3),
            .source = text_in(row, 4),
            .operation = text_in(row, 5),
            .protocol = text_in(row, 6),
            .port = sqlite3_column_int64(row, 7),
            .address = text_in(row, 8),
            .duration_s = sqlite3_column_int64(row, 9),
            .decision = text_in(row, 10),
            .reason = text_in(row, 11)};
}

void add_use(Uses& uses, sqlite3_stmt* row, int generation_column) {
    const auto generation = static_cast<std::uint32_t>(sqlite3_column_int64(row, generation_column));
    for (const int column : {2, 3}) note_use(uses, generation, time_in(row, column));
}

}  // namespace

void AuditReader::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

Error AuditReader::unreadable() const {
    const int status = db_ ? sqlite3_errcode(db_.get()) : SQLITE_NOMEM;
    std::string what = db_ ? sqlite3_errmsg(db_.get()) : "out of memory";
    if (status == SQLITE_CORRUPT || status == SQLITE_NOTADB || status == SQLITE_ERROR) what += renewal;
    if (status == SQLITE_TOOBIG) what += "; no line of oneknockd's is that long: move the audit away, and restart it";
    return {ExitCode::data, path_ + ": cannot read the audit: " + what};
}

Result<AuditReader> AuditReader::open(const std::string& state_folder) {
    AuditReader reader;
    reader.path_ = reader.inside_ = state_folder + "/" + audit_file_name;
    if (lstat(reader.path_.c_str(), &reader.file_) != 0)
        return tl::unexpected(system_error("find the audit", reader.path_, ExitCode::no_input));
    if (geteuid() == 0) {
        if (auto entered = become_owner_inside(state_folder); !entered) return tl::unexpected(entered.error());
        reader.inside_ = std::string("/") + audit_file_name;
    }
    if (auto opened = reader.open_database(); !opened) return tl::unexpected(opened.error());
    return reader;
}

Result<void> AuditReader::open_database() {
    sqlite3* db = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    const int status = sqlite3_open_v2(inside_.c_str(), &db, flags, nullptr);
    db_.reset(db);
    if (status != SQLITE_OK) return tl::unexpected(unreadable());
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, longest_in_audit);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);  // should one come while it is read
    if (sqlite3_exec(db, settings, nullptr, nullptr, nullptr) != SQLITE_OK) return tl::unexpected(unreadable());
    const auto strangers = prepare(db, strangers_query().c_str());
    const int strange = strangers ? sqlite3_step(strangers.get()) : SQLITE_ERROR;
    if (strange == SQLITE_ROW)
        return fail(ExitCode::data, path_ + ": cannot read the audit: it holds what oneknockd does not make" + renewal);
    if (strange != SQLITE_DONE) return tl::unexpected(unreadable());
    const auto find = prepare(db, "SELECT 1 FROM pragma_table_info('audit') WHERE name='door_generation'");
    const int found = find ? sqlite3_step(find.get()) : SQLITE_ERROR;
    if (found != SQLITE_ROW && found != SQLITE_DONE) return tl::unexpected(unreadable());
    tells_door_generations_ = found == SQLITE_ROW;
    return {};
}

Result<bool> AuditReader::take_replacement() {
    struct stat now {};
    if (lstat(inside_.c_str(), &now) != 0 || (now.st_ino == file_.st_ino && now.st_dev == file_.st_dev)) return false;
    if (auto opened = open_database(); !opened) return tl::unexpected(opened.error());
    file_ = now;
    return true;
}

Result<ClientUses> AuditReader::uses_of(const std::string& client, UnixTime since) {
    const auto find = prepare(db_.get(), uses_query(tells_door_generations_).c_str());
    if (!find) return tl::unexpected(unreadable());
    sqlite3_bind_text(find.get(), 1, client.data(), static_cast<int>(client.size()), SQLITE_STATIC);
    sqlite3_bind_int64(find.get(), 2, since.time_since_epoch().count());
    ClientUses uses;
    int status = SQLITE_OK;
    while ((status = sqlite3_step(find.get())) == SQLITE_ROW) {
        add_use(uses.generations, find.get(), 0);
        if (sqlite3_column_int64(find.get(), 1) > 0) add_use(uses.door_generations, find.get(), 1);
    }
    if (status != SQLITE_DONE) return tl::unexpected(unreadable());
    return uses;
}

Result<std::vector<AuditLine>> AuditReader::lines(const AuditFilter& filter, std::int64_t after, int most) {
    const auto find = prepare(db_.get(), lines_query);
    if (!find) return tl::unexpected(unreadable());
    sqlite3_bind_int64(find.get(), 1, after);
    bind_text(find.get(), 2, filter.client);
    bind_text(find.get(), 3, filter.service ? std::optional(protocol_name(filter.service->protocol)) : std::nullopt);
    sqlite3_bind_int(find.get(), 4, filter.service ? filter.service->port : 0);
    sqlite3_bind_int64(find.get(), 5, filter.since ? filter.since->time_since_epoch().count() : 0);
    sqlite3_bind_int64(find.get(), 6, filter.until ? filter.until->time_since_epoch().count() : last_second_in_audit);
    bind_text(find.get(), 7, filter.decision);
    sqlite3_bind_int(find.get(), 8, most);
    std::vector<AuditLine> lines;
    int status = SQLITE_OK;
    while ((status = sqlite3_step(find.get())) == SQLITE_ROW) lines.push_back(line_in(find.get()));
    if (status != SQLITE_DONE) return tl::unexpected(unreadable());
    return lines;
}

}  // namespace oneknock

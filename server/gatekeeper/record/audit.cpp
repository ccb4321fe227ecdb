#include "server/gatekeeper/record/audit.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "keys/record_files.hpp"
#include "server/gatekeeper/record/put_aside.hpp"

namespace oneknock {
namespace {

constexpr const char* memory_only = ":memory:";

std::string schema() {
    return "BEGIN;" + audit_table() + ";" + audit_by_time + ";" + audit_by_client + ";PRAGMA user_version=1; COMMIT;";
}

// Of versions that kept the replay record here as well.
constexpr const char* drop_old_tables =
    "DROP TABLE IF EXISTS floor; DROP TABLE IF EXISTS tag; DROP TABLE IF EXISTS client_floor;"
    "DROP TABLE IF EXISTS last_close;";

// Only a file of which the system says that there is none is missing: what cannot be looked at may be a good one.
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

Result<Audit> Audit::open(const std::string& folder, UnixTime now) {
    const bool in_memory = folder.empty();
    const std::string path = in_memory ? memory_only : folder + std::string(audit_file_name);
    const auto existed = in_memory ? Result<bool>(false) : is_there(path);
    if (!existed) return tl::unexpected(existed.error());
    const auto give_up = [](const std::string& problem) {
        return fail(ExitCode::cannot_create, "the audit " + std::string(audit_file_name) + " in the state folder: " +
                                                 problem + ". Check the disk and the folder's owner");
    };
    Audit audit;
    const auto found = *existed ? audit.read_existing(path) : Database::Condition::damaged;
    if (found == Database::Condition::unreadable) return give_up(audit.db_.problem());
    if (found == Database::Condition::damaged) {
        audit = Audit();
        if (*existed && !put_aside(path, now, audit_suffixes)) return give_up("it is damaged, and cannot be put aside");
        if (const auto problem = audit.begin_anew(path)) return give_up(*problem);
        audit.was_damaged_ = *existed;
    }
    audit.db_.wait_no_more();  // no knock waits for who has locked it
    return audit;
}

Database::Condition Audit::read_existing(const std::string& path) {
    if (!db_.open(path)) return db_.after_failure();
    // First of all: the check would run what strangers have put in.
    if (!db_.run(drop_old_tables)) return db_.after_failure();
    if (const auto found = db_.finds_none(strangers_query()); found != Database::Condition::sound) return found;
    if (const auto found = db_.check(); found != Database::Condition::sound) return found;
    if (!db_.prepare("SELECT id FROM audit")) return db_.after_failure();
    // Audits from before there was this column do not know which of the door's generations was used.
    if (!db_.prepare("SELECT door_generation FROM audit") &&
        !db_.run("ALTER TABLE audit ADD COLUMN door_generation INTEGER NOT NULL DEFAULT 0"))
        return db_.after_failure();
    return prepare_all() && count_all() && find_newest() && find_latest() ? Database::Condition::sound
                                                                          : db_.after_failure();
}

std::optional<std::string> Audit::begin_anew(const std::string& path) {
    const bool in_memory = path == memory_only;
    if (!in_memory && !create_empty(path)) return std::strerror(errno);
    if (db_.open(path) && db_.run(schema().c_str()) && prepare_all()) return std::nullopt;
    const std::string problem = db_.problem();
    *this = Audit();  // closed: what is half made is nobody's
    for (const char* suffix : audit_suffixes)
        if (!in_memory) unlink((path + suffix).c_str());
    return problem;
}

bool Audit::prepare_all() {
    const std::string uses = uses_query();
    const std::pair<Prepared*, const char*> all[] = {
        {&insert_, "INSERT INTO audit VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?)"},
        {&delete_old_, "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time<? LIMIT ?) RETURNING client"},
        {&delete_first_, "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?) RETURNING client"},
        {&delete_of_client_,
         "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE client=? ORDER BY time, id LIMIT ?)"
         " RETURNING client"},
        {&find_uses_, uses.c_str()}};
    for (const auto& [prepared, sql] : all)
        if (*prepared = db_.prepare(sql); !*prepared) return false;
    return true;
}

bool Audit::count_all() {
    const Prepared prepared = db_.prepare("SELECT client, count(*) FROM audit GROUP BY client");
    Statement counts(prepared);
    while (prepared && counts.row()) count(counts.text(0), counts.integer(1));
    return prepared && !counts.failed();
}

bool Audit::find_newest() {
    // "+": by the table as it lies, not by the index, which would take twenty times as long.
    const Prepared prepared = db_.prepare(
        "SELECT client, max(generation) FROM audit WHERE generation>1 AND decision='accepted' GROUP BY +client");
    Statement newest(prepared);
    while (prepared && newest.row()) note_generation(newest.text(0), static_cast<std::uint32_t>(newest.integer(1)));
    return prepared && !newest.failed();
}

bool Audit::find_latest() {
    const Prepared prepared = db_.prepare("SELECT time FROM audit ORDER BY time DESC LIMIT 1");
    Statement latest(prepared);
    if (prepared && latest.row())
        latest_ = std::clamp(latest.time(0), UnixTime{}, UnixTime{Seconds{last_second_in_audit}});
    return prepared && !latest.failed();
}

// One that is not written in the end makes us look once too often.
void Audit::note_generation(std::string_view client, std::uint32_t generation) {
    const auto found = newest_.find(client);
    if (found == newest_.end()) newest_.emplace(client, generation);
    else found->second = std::max(found->second, generation);
}

std::uint32_t Audit::newest_generation_of(std::string_view client) const {
    const auto found = newest_.find(client);
    return found == newest_.end() ? 0 : found->second;
}

void Audit::note(bool succeeded) {
    if (succeeded || failed_) return;
    failed_ = true;
    first_problem_ = db_.problem();
}

std::int64_t Audit::lines_of(std::string_view client) const {
    const auto found = lines_.find(client);
    return found == lines_.end() ? 0 : found->second;
}

void Audit::count(std::string_view client, std::int64_t more) {
    auto found = lines_.find(client);
    if (found == lines_.end()) found = lines_.emplace(client, 0).first;
    found->second += more;
    all_lines_ += more;
    if (found->second > most_lines_per_client) too_many_.emplace(client);
    if (in_turn_) counted_.emplace_back(client, more);
}

void Audit::begin() {
    failed_ = false;
    in_turn_ = true;
    counted_.clear();
    note(db_.run("BEGIN IMMEDIATE"));
}

Result<void> Audit::commit() {
    if (!failed_) note(db_.run("COMMIT"));
    in_turn_ = false;
    if (!failed_) return {};
    static_cast<void>(db_.run("ROLLBACK"));
    for (const auto& [client, more] : counted_) count(client, -more);
    return fail(ExitCode::cannot_create, "cannot write the audit: " + first_problem_);
}

Result<void> Audit::write(const std::vector<AuditEntry>& entries) {
    if (entries.empty()) return {};
    begin();
    for (const AuditEntry& entry : entries) insert(entry);
    return commit();
}

void Audit::insert(const AuditEntry& entry) {
    Statement insert(insert_);
    insert.bind(entry.when).bind(entry.client).bind(entry.generation).bind(entry.source.text());
    insert.bind(operation_name(entry.request.operation))
        .bind(protocol_name(entry.request.protocol))
        .bind(entry.request.port);
    insert.bind(entry.address.text())
        .bind(entry.duration.count())
        .bind(entry.decision)
        .bind(entry.reason)
        .bind(entry.door_generation);
    note(insert.done());
    count(entry.client, 1);
    latest_ = std::max(entry.when, latest_.value_or(entry.when));
    if (entry.generation > 1 && entry.reason.empty()) note_generation(entry.client, entry.generation);
}

Result<bool> Audit::prune(UnixTime now, std::int64_t rows) {
    bool more = false;
    begin();
    // By a clock that is ahead, all would be too old.
    forget(std::min(now, latest_.value_or(now)) - kept, rows, more);
    if (const auto committed = commit(); !committed) return tl::unexpected(committed.error());
    return more;
}

void Audit::forget(UnixTime before, std::int64_t rows, bool& more) {
    const auto run = [&](Statement& doomed) {
        std::int64_t gone = 0;
        for (; doomed.row(); ++gone) count(doomed.text(0), -1);
        note(!doomed.failed());
        more = more || gone == rows;
    };
    run(Statement(delete_old_).bind(before).bind(rows));
    if (all_lines_ > most_lines) run(Statement(delete_first_).bind(std::min(rows, all_lines_ - most_lines)));
    if (too_many_.empty()) return;
    const std::string client = *too_many_.begin();
    const std::int64_t excess = lines_of(client) - most_lines_per_client;
    if (excess > 0) run(Statement(delete_of_client_).bind(client).bind(std::min(rows, excess)));
    if (excess <= rows) too_many_.erase(client);
    more = more || !too_many_.empty();
}

Audit::ClientUses Audit::uses_of(std::string_view client, UnixTime since) {
    ClientUses uses;
    Statement find(find_uses_);
    find.bind(client).bind(since);
    while (find.row())
        for (const int first_or_last : {2, 3}) {
            const UnixTime when = find.time(first_or_last);
            note_use(uses.of_key, static_cast<std::uint32_t>(find.integer(0)), when);
            if (find.integer(1) > 0) note_use(uses.of_door, static_cast<std::uint32_t>(find.integer(1)), when);
        }
    return uses;
}

}  // namespace oneknock

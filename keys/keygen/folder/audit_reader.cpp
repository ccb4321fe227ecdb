#include "keys/keygen/folder/audit_reader.hpp"

#include <cerrno>

#include <grp.h>
#include <linux/capability.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "keys/record_files.hpp"

namespace oneknock {
namespace {

constexpr const char* settings =
    "PRAGMA busy_timeout=2000; PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
    "PRAGMA cell_size_check=ON;";

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

Statement prepare(sqlite3* db, const char* sql) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(db, sql, -1, &statement, nullptr);
    return Statement(statement);
}

// Needs a capability itself, which root in a container may lack; without this, no_new_privs holds alone.
void empty_bounding_set() {
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        prctl(PR_CAPBSET_DROP, capability);
}

// Also where the change of user has left them: a folder of root's, or securebits that keep them.
bool give_up_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 && syscall(SYS_capset, &header, none) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

Result<void> become_owner_inside(const std::string& folder) {
    struct stat info {};
    empty_bounding_set();
    if (stat(folder.c_str(), &info) != 0 || chroot(folder.c_str()) != 0 || chdir("/") != 0 ||
        setgroups(0, nullptr) != 0 || setresgid(info.st_gid, info.st_gid, info.st_gid) != 0 ||
        setresuid(info.st_uid, info.st_uid, info.st_uid) != 0 || !give_up_capabilities())
        return tl::unexpected(system_error("enter the state directory", folder, ExitCode::no_input));
    return {};
}

UnixTime time_in(sqlite3_stmt* row, int column) { return UnixTime{Seconds{sqlite3_column_int64(row, column)}}; }

void add_use(Uses& uses, sqlite3_stmt* row, int generation_column) {
    const auto generation = static_cast<std::uint32_t>(sqlite3_column_int64(row, generation_column));
    for (const int column : {2, 3}) note_use(uses, generation, time_in(row, column));
}

}  // namespace

void AuditReader::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

Error AuditReader::unreadable() const {
    return {ExitCode::data, path_ + ": cannot read the audit: " + (db_ ? sqlite3_errmsg(db_.get()) : "out of memory")};
}

Result<AuditReader> AuditReader::open(const std::string& state_folder) {
    AuditReader reader;
    reader.path_ = state_folder + "/" + audit_file_name;
    struct stat info {};
    if (lstat(reader.path_.c_str(), &info) != 0)
        return tl::unexpected(system_error("find the audit", reader.path_, ExitCode::no_input));
    std::string path = reader.path_;
    if (geteuid() == 0) {
        if (auto entered = become_owner_inside(state_folder); !entered) return tl::unexpected(entered.error());
        path = std::string("/") + audit_file_name;
    }
    sqlite3* db = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    const int status = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
    reader.db_.reset(db);
    if (status != SQLITE_OK || sqlite3_exec(db, settings, nullptr, nullptr, nullptr) != SQLITE_OK)
        return tl::unexpected(reader.unreadable());
    const auto find = prepare(db, "SELECT 1 FROM pragma_table_info('audit') WHERE name='door_generation'");
    const int found = find ? sqlite3_step(find.get()) : SQLITE_ERROR;
    if (found != SQLITE_ROW && found != SQLITE_DONE) return tl::unexpected(reader.unreadable());
    reader.tells_door_generations_ = found == SQLITE_ROW;
    return reader;
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

}  // namespace oneknock

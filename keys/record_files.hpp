// What the daemon's gatekeeper writes into the state folder and others look for by name: the gatekeeper opens and fills
// the record, the parent hands its files over, keygen marks new doors and reads the audit.
#pragma once

#include <cstdint>
#include <string>

namespace oneknock {

// The audit, an SQLite database, and what SQLite keeps beside it. The replay record's two files are named as if they
// were of these, so that whoever moves or removes `oneknock.db*` takes them along.
inline constexpr const char* audit_file_name = "oneknock.db";
inline constexpr const char* audit_suffixes[] = {"", "-wal", "-shm"};
inline constexpr const char* record_file_name = "oneknock.db-replay";  // server/gatekeeper/record/journal.hpp
inline constexpr const char* mark_file_name = "oneknock.db-mark";      // how far the former had got
inline constexpr const char* record_file_magic = "oneknock replay";

// Held by the daemon that uses the folder.
inline constexpr const char* state_lock_name = "lock";

// Holds the id (hexadecimal) of a door that never had a record: a missing one is no loss then.
inline constexpr const char* new_door_name = "new-door";

// The audit's table. Audits from before the door's secret could be rotated lack the last column.
[[nodiscard]] inline std::string audit_table(bool tells_door_generations = true) {
    return std::string(
               "CREATE TABLE audit(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, client TEXT NOT NULL,"
               " generation INTEGER NOT NULL, source TEXT NOT NULL, operation TEXT NOT NULL,"
               " protocol TEXT NOT NULL, port INTEGER NOT NULL, address TEXT NOT NULL,"
               " duration INTEGER NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL") +
           (tells_door_generations ? ", door_generation INTEGER NOT NULL DEFAULT 0)" : ")");
}

// Lines are asked for by client, and forgotten by time.
inline constexpr const char* audit_by_time = "CREATE INDEX audit_by_time ON audit(time)";
inline constexpr const char* audit_by_client = "CREATE INDEX audit_by_client ON audit(client, time)";

// SQLite's own, for whoever runs ANALYZE.
inline constexpr const char* what_analyze_makes = "CREATE TABLE sqlite_stat1(tbl,idx,stat)";
inline constexpr const char* what_analyze_makes_too = "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)";

// Finds what is not of this, word for word as SQLite keeps it: triggers, views, checks and computed columns of others
// would run in whoever opens the audit, for as long as they like.
[[nodiscard]] inline std::string strangers_query() {
    return "SELECT 1 FROM sqlite_master WHERE sql IS NULL OR sql NOT IN ('" + audit_table() + "','" +
           audit_table(false) + "','" + audit_by_time + "','" + audit_by_client + "','" + what_analyze_makes + "','" +
           what_analyze_makes_too + "')";
}

// Of the year 9999: no line of the daemon's is later.
inline constexpr std::int64_t last_second_in_audit = 253'402'300'799;

// A line has a few hundred bytes, and so has the longest of the above. What is longer is not the daemon's.
inline constexpr int longest_in_audit = 4096;

// Of the audit: of each generation of a client's key and of the door's secret, the first and the last accepted knock.
// To bind: the client, and since when. Records from before the door's secret could be rotated have no
// `door_generation`: 0 takes its place.
[[nodiscard]] inline std::string uses_query(bool tells_door_generations = true) {
    return std::string("SELECT generation, ") + (tells_door_generations ? "door_generation" : "0") +
           " AS door, min(time), max(time) FROM audit WHERE client=? AND time>=? AND decision='accepted' GROUP BY 1, 2";
}

}  // namespace oneknock

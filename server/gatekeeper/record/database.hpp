// SQLite as the record needs it: one connection, prepared statements, failures as values, and a log that is folded into
// the file when its owner says so, never in the middle of a commit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/clock.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace oneknock {

struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const;
};
using Prepared = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

class Database {
public:
    // Opens or creates the file; ":memory:" is one without a file. A commit survives a process that is killed, and is
    // on the disk when its log is folded in (WAL, synchronous=NORMAL): what must not be lost is not kept here.
    // While others have it locked it waits, for two seconds.
    [[nodiscard]] bool open(const std::string& path);
    // From now on this process never waits for a lock, nor sleeps between tries to get one.
    void wait_no_more();

    [[nodiscard]] bool run(const char* sql);
    [[nodiscard]] Prepared prepare(const char* sql);  // null: problem() says why

    // `unreadable`: for lack of disk, memory or a permission. That says nothing about the content.
    enum class Condition : std::uint8_t { sound, damaged, unreadable };
    // Reads all of the file.
    [[nodiscard]] Condition check();
    // Damaged if the query finds a row.
    [[nodiscard]] Condition finds_none(const std::string& query);

    // Of the call that has just failed: in words, and as a condition of the file.
    [[nodiscard]] std::string problem() const;
    [[nodiscard]] Condition after_failure() const;

    // The log (WAL) has grown by `pages` since it was last folded into the file, or begun.
    [[nodiscard]] bool wal_has(std::size_t pages) const;
    // Folds it in; the log starts anew behind it, in the same file, unless somebody reads it at the moment. What cannot
    // be done now is done later, when the log has grown again.
    void checkpoint();

private:
    struct Close {
        void operator()(sqlite3* db) const;
    };
    struct Log {
        std::size_t pages = 0;   // in the WAL
        std::size_t folded = 0;  // of these, when it was last tried
    };
    std::unique_ptr<Log> log_ =
        std::make_unique<Log>();  // SQLite holds a pointer to it: destroyed behind the connection
    std::unique_ptr<sqlite3, Close> db_;
};

// One execution of a prepared statement: bind in order, step, read; reset at the end of the scope.
class Statement {
public:
    explicit Statement(const Prepared& prepared) : statement_(prepared.get()) {}
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& bind(std::int64_t value);
    Statement& bind(std::string_view text);
    Statement& bind(UnixTime time) { return bind(std::int64_t{time.time_since_epoch().count()}); }

    bool row();   // a row is there; after the last one `failed` tells whether all went well
    bool done();  // runs to the end; false if it failed
    [[nodiscard]] bool failed() const;

    // Of the present row.
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] UnixTime time(int column) const { return UnixTime{Seconds{integer(column)}}; }
    [[nodiscard]] std::string text(int column) const;

private:
    sqlite3_stmt* statement_;
    int bound_ = 0;
    int status_ = -1;  // not run yet
};

}  // namespace oneknock

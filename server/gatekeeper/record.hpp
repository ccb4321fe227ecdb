// The replay record and the audit, in one SQLite database (docs/protocol.md, "Receiving", steps 7 to 9).
//
// Durable: when commit() has succeeded, what was written since begin() survives a crash or a power cut (WAL with
// synchronous=FULL). No key is ever stored. Every function but the constructor may fail for lack of disk; a failed
// write makes the whole turn fail at commit(), and nothing of it is kept.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/address.hpp"
#include "common/clock.hpp"
#include "common/message.hpp"
#include "common/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace oneknock {

// A line of the audit: something a known client asked for and what became of it.
struct AuditEntry {
    UnixTime when{};
    std::string client;
    std::uint32_t generation = 0;
    Address source;
    Address address;
    Request request;
    Seconds duration{0};
    std::string decision;  // "accepted" or "refused"
    std::string reason;    // empty when accepted
};

class Record {
public:
    static constexpr std::string_view file_name = "oneknock.db";
    // The largest number of tags of one client. With a fresh tag a millisecond it takes four seconds to reach.
    static constexpr std::int64_t most_tags_per_client = 4096;
    static constexpr Seconds audit_kept{400 * 86400};

    // In `folder` (ending in '/'), or in memory if it is empty. A file that is missing or damaged is replaced by a new
    // record whose floor is `now + tolerance`: one window closed (`lost()` says so); a damaged file is kept aside.
    // If the folder holds `new-door` with this door's id (hexadecimal), a missing file is no loss: the floor is 0.
    [[nodiscard]] static Result<Record> open(const std::string& folder, const DoorId& door, UnixTime now, Seconds tolerance);
    Record(Record&&) noexcept;
    Record& operator=(Record&&) noexcept;
    ~Record();

    enum class Loss : std::uint8_t { none, missing, damaged };
    [[nodiscard]] Loss lost() const { return lost_; }

    // What cannot be read, for lack of a working disk, is answered so that it refuses: a tag is there, a floor or a close
    // lies in the far future.

    // Messages made at or before the floor are refused: their tags may have been forgotten.
    [[nodiscard]] UnixTime floor() const { return floor_; }
    [[nodiscard]] std::optional<UnixTime> client_floor(std::string_view client);
    [[nodiscard]] bool holds(const Tag& tag);
    [[nodiscard]] std::int64_t tags_of(std::string_view client);
    [[nodiscard]] std::int64_t audited_of(std::string_view client);  // lines of the audit
    // The time of the client's last close of the service.
    [[nodiscard]] std::optional<UnixTime> last_close(std::string_view client, const Service& service);

    // One turn: everything between begin() and commit() becomes durable together, or not at all.
    void begin();
    void add_tag(const Tag& tag, UnixTime time, std::string_view client);
    void raise_client_floor(std::string_view client, UnixTime floor);
    void set_last_close(std::string_view client, const Service& service, UnixTime time);
    void audit(const AuditEntry& entry);
    [[nodiscard]] Result<void> commit();
    [[nodiscard]] bool in_turn() const { return in_turn_; }

    // Forgets tags whose messages are stale by now, behind a floor written in the same turn; and old audit lines.
    [[nodiscard]] Result<void> prune(UnixTime now, Seconds tolerance);
    [[nodiscard]] bool is_empty();  // no tag: nothing to prune

    // Of the audit: who was granted this, if a grant of it could still be live.
    [[nodiscard]] std::optional<std::string> holder_of(const Service& service, const Address& address, UnixTime now);

private:
    class Statement;
    struct Close {
        void operator()(sqlite3* db) const;
    };
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    using Prepared = std::unique_ptr<sqlite3_stmt, Finalize>;

    Record() = default;
    [[nodiscard]] Result<void> connect(const std::string& path);
    [[nodiscard]] bool run(const char* sql);
    [[nodiscard]] bool is_sound();
    [[nodiscard]] bool prepare_all();
    [[nodiscard]] bool start_new(UnixTime floor);
    [[nodiscard]] bool read_floor();
    void note(bool succeeded);
    [[nodiscard]] std::string problem() const;

    std::unique_ptr<sqlite3, Close> db_;
    Prepared find_tag_, count_tags_, count_audit_, find_client_floor_, find_close_, insert_tag_, put_client_floor_, put_close_, insert_audit_,
        newest_stale_, delete_stale_, put_floor_, delete_audit_, delete_closes_, any_tag_, find_holder_;
    UnixTime floor_{};
    Loss lost_ = Loss::none;
    bool in_turn_ = false;
    bool failed_ = false;  // since begin()
    std::string first_problem_;
};

}  // namespace oneknock

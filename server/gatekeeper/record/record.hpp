// The replay record and the audit, in one SQLite database (docs/protocol.md, "Receiving", steps 7 to 9).
//
// Durable: when commit() has succeeded, what was written since begin() survives a crash or a power cut. No key is ever
// stored. Any of it may fail for lack of disk: a failed write makes the whole turn fail at commit(), and nothing of it
// is kept; what cannot be read is answered so that it refuses.
//
// What a knock costs here does not grow with the number of clients, tags or lines of the audit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/message.hpp"
#include "common/result.hpp"
#include "keys/rotation.hpp"
#include "server/gatekeeper/record/database.hpp"

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
    std::uint32_t door_generation = 0;
};

class Record {
public:
    // The largest number of tags of one client. With a fresh tag a millisecond it takes four seconds to reach.
    static constexpr std::int64_t most_tags_per_client = 4096;
    // The audit keeps lines this long, and so many (some 200 MB): of one client, so that none can push out the lines of
    // others, and of all. The oldest go first.
    static constexpr Seconds audit_kept{400 * 86400};
    static constexpr std::int64_t most_lines_per_client = 100'000;
    static constexpr std::int64_t most_lines = 1'000'000;

    // In `folder` (ending in '/'), or in memory if it is empty. A file that is missing or damaged is replaced by a new
    // record whose floor is `now + tolerance`: one window closed (`lost()` says so); a damaged file is kept aside. One
    // that cannot be read for lack of disk, memory or a permission is left as it is, and an error. If the folder holds
    // `new-door` with this door's id (hexadecimal), a missing file is no loss: the floor is 0.
    [[nodiscard]] static Result<Record> open(const std::string& folder, const DoorId& door, UnixTime now,
                                             Seconds tolerance);

    enum class Loss : std::uint8_t { none, missing, damaged };
    [[nodiscard]] Loss lost() const { return lost_; }

    // Messages made at or before the floor are refused: their tags may have been forgotten.
    [[nodiscard]] UnixTime floor() const { return floor_; }
    [[nodiscard]] std::optional<UnixTime> client_floor(std::string_view client);
    // `time` is that of the tag's message.
    [[nodiscard]] bool holds(const Tag& tag, UnixTime time);
    // The time of the client's last close of the service.
    [[nodiscard]] std::optional<UnixTime> last_close(std::string_view client, const Service& service);

    // What a client has in the record.
    struct Share {
        std::int64_t tags = 0;
        std::int64_t lines = 0;  // of the audit
    };
    [[nodiscard]] Share share_of(std::string_view client) const;
    [[nodiscard]] bool has_tags() const { return all_.tags > 0; }

    // One turn: everything between begin() and commit() becomes durable together, or not at all.
    void begin();
    void add_tag(const Tag& tag, UnixTime time, std::string_view client);
    void raise_client_floor(std::string_view client, UnixTime floor);
    void set_last_close(std::string_view client, const Service& service, UnixTime time);
    void audit(const AuditEntry& entry);
    [[nodiscard]] Result<void> commit();
    [[nodiscard]] bool in_turn() const { return in_turn_; }

    // Forgets tags whose messages are stale by now, behind a floor written in the same turn; and lines of the audit
    // that are too old or too many. At most `rows` tags at a time, and what takes as long of the audit; true if there
    // is more to forget.
    [[nodiscard]] Result<bool> prune(UnixTime now, Seconds tolerance, std::int64_t rows = INT32_MAX);

    // What the database's log takes on the disk from the beginning, if there is room: overwriting costs a commit two
    // thirds of what appending does. A log that grows longer is folded in before, unless knocks come without a pause.
    static constexpr std::size_t wal_preallocation = 300 * 4120;

    // The database's log: how much it has grown, and folding it into the file, which takes milliseconds.
    [[nodiscard]] bool wal_has(std::size_t pages) const { return db_.wal_has(pages); }
    void checkpoint() { db_.checkpoint(); }

    // Of the audit: the first and last accepted knock with each generation of a client's key, and of the door's.
    struct ClientUses {
        Uses of_key, of_door;
    };
    [[nodiscard]] ClientUses uses_of(std::string_view client, UnixTime since);

    // Of the audit: who was granted what, as far as it could still be live.
    using Holders = std::map<std::pair<Address, Service>, std::string>;
    [[nodiscard]] Holders holders(UnixTime now);

private:
    Record() = default;
    [[nodiscard]] Database::Condition read_existing(const std::string& path);
    // What is in the way, if it cannot be made; then nothing of it stays behind.
    [[nodiscard]] std::optional<std::string> begin_anew(const std::string& path, UnixTime floor);
    [[nodiscard]] bool make_new(const std::string& path, UnixTime floor);
    [[nodiscard]] Database::Condition read_floor();
    [[nodiscard]] bool prepare_all();
    [[nodiscard]] bool count_all();
    void count(std::string_view client, const Share& more);
    void note(bool succeeded);
    std::optional<UnixTime> forget_tags(UnixTime stale_before, std::int64_t rows, bool& more);
    void forget_lines(UnixTime before, std::int64_t rows, bool& more);

    Database db_;
    Prepared find_tag_, find_client_floor_, find_close_, insert_tag_, put_client_floor_, put_close_, insert_audit_,
        find_stale_, delete_stale_, put_floor_, delete_closes_, delete_old_, delete_first_, delete_of_client_,
        find_holders_, find_uses_;
    UnixTime floor_{};
    Loss lost_ = Loss::none;
    bool in_turn_ = false;
    bool failed_ = false;  // since begin()
    std::string first_problem_;

    // How much there is of everything, so that nothing is ever counted in a turn. A client that has ever been here has
    // an entry: the administrator makes clients, strangers cannot.
    std::map<std::string, Share, std::less<>> shares_;
    Share all_;
    std::set<std::string, std::less<>> too_many_lines_;   // clients with more than their share
    std::vector<std::pair<std::string, Share>> counted_;  // in this turn, to be taken back if it fails
};

}  // namespace oneknock

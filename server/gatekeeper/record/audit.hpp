// The audit, an SQLite database: what known clients asked for and what became of it, and when each generation of a key
// was used. It decides on no knock: a line may be lost in a power cut, or when the daemon is killed before the firewall
// has answered, and a database that is missing or damaged is begun anew.
//
// What a line costs does not grow with the number of clients or lines.
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

class Audit {
public:
    // It keeps lines this long, and so many (some 200 MB): of one client, so that none can push out the lines of
    // others, and of all. The oldest go first.
    static constexpr Seconds kept{400 * 86400};
    static constexpr std::int64_t most_lines_per_client = 100'000;
    static constexpr std::int64_t most_lines = 1'000'000;

    // In `folder` (ending in '/'), or in memory if it is empty. A damaged one, or one that holds what is not ours, is
    // kept aside (`was_damaged()` says so). One that cannot be read for lack of disk, memory or a permission is left as
    // it is, and an error.
    [[nodiscard]] static Result<Audit> open(const std::string& folder, UnixTime now);
    [[nodiscard]] bool was_damaged() const { return was_damaged_; }
    // The latest time of its lines; the clock may be behind it.
    [[nodiscard]] std::optional<UnixTime> latest() const { return latest_; }

    // All of the lines, or none.
    [[nodiscard]] Result<void> write(const std::vector<AuditEntry>& entries);
    [[nodiscard]] std::int64_t lines_of(std::string_view client) const;

    // Forgets lines that are too old or too many: about `rows` at a time; true if there is more to forget.
    [[nodiscard]] Result<bool> prune(UnixTime now, std::int64_t rows = INT32_MAX);

    // The database's log: how much it has grown, and folding it into the file, which takes milliseconds.
    [[nodiscard]] bool wal_has(std::size_t pages) const { return db_.wal_has(pages); }
    void checkpoint() { db_.checkpoint(); }

    // The first and last accepted knock with each generation of a client's key, and of the door's.
    struct ClientUses {
        Uses of_key, of_door;
    };
    // The newest generation of a client of this name that was accepted, be it of another client that had the name once.
    [[nodiscard]] std::uint32_t newest_generation_of(std::string_view client) const;
    [[nodiscard]] ClientUses uses_of(std::string_view client, UnixTime since);

private:
    Audit() = default;
    [[nodiscard]] Database::Condition read_existing(const std::string& path);
    // What is in the way, if it cannot be made; then nothing of it stays behind.
    [[nodiscard]] std::optional<std::string> begin_anew(const std::string& path);
    [[nodiscard]] bool prepare_all();
    [[nodiscard]] bool count_all();
    [[nodiscard]] bool find_newest();
    [[nodiscard]] bool find_latest();
    void begin();
    [[nodiscard]] Result<void> commit();
    void insert(const AuditEntry& entry);
    void count(std::string_view client, std::int64_t more);
    void note_generation(std::string_view client, std::uint32_t generation);
    void note(bool succeeded);
    void forget(UnixTime before, std::int64_t rows, bool& more);

    Database db_;
    Prepared insert_, delete_old_, delete_first_, delete_of_client_, find_uses_;
    bool was_damaged_ = false;
    std::optional<UnixTime> latest_;
    bool in_turn_ = false;
    bool failed_ = false;  // since begin()
    std::string first_problem_;

    // How many there are, so that nothing is ever counted in a turn. A client that has ever been here has an entry: the
    // administrator makes clients, strangers cannot.
    std::map<std::string, std::int64_t, std::less<>> lines_;
    std::int64_t all_lines_ = 0;
    std::map<std::string, std::uint32_t, std::less<>> newest_;   // of clients that have rotated
    std::set<std::string, std::less<>> too_many_;                // clients with more than their share
    std::vector<std::pair<std::string, std::int64_t>> counted_;  // in this turn, to be taken back if it fails
};

}  // namespace oneknock

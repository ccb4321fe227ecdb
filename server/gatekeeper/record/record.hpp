// The replay record: which messages were used, and who holds which grant (docs/protocol.md, "Receiving", steps 7 to 9).
//
// All of it is in memory; what changes is appended to a file (journal.hpp). Durable: when commit() has succeeded, what
// was added since begin() survives a crash or a power cut. A failed write makes the whole turn fail at commit(), and
// nothing of it is kept. No key is ever stored.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/address.hpp"
#include "common/protocol/message.hpp"
#include "common/result.hpp"
#include "server/gatekeeper/record/held_grants.hpp"
#include "server/gatekeeper/record/journal.hpp"

namespace oneknock {

class Record {
public:
    // The largest number of tags of one client. With a fresh tag a millisecond it takes four seconds to reach.
    static constexpr std::size_t most_tags_per_client = 4096;

    // In `folder` (ending in '/'), or in memory if it is empty. A record that is missing or damaged is replaced by a
    // new one that is closed for window_behind_a_loss() (`lost()` says so), with the floor `now + tolerance`: `now` is
    // the latest time that is known of, if the clock may be behind. A damaged one is kept aside. One that cannot be
    // read for lack of memory or a permission is left as it is, and an error. If the folder holds `new-door` with this
    // door's id (hexadecimal), a missing one is no loss: the floor is 0. Grants of another boot have ended.
    [[nodiscard]] static Result<Record> open(const std::string& folder, const DoorId& door, const Now& now,
                                             Seconds tolerance, const BootId& boot = {},
                                             Seconds flows_after = Seconds{0});  // HeldGrants

    enum class Loss : std::uint8_t { none, missing, damaged };
    [[nodiscard]] Loss lost() const { return lost_; }
    [[nodiscard]] const std::string& damage() const { return damage_; }  // in words

    // A message may have been used a tolerance before its time, and is fresh until a tolerance after it; both are
    // judged by whole seconds.
    [[nodiscard]] static constexpr Seconds window_behind_a_loss(Seconds tolerance) {
        return 2 * tolerance + Seconds{1};
    }
    // Whether a record was lost and two tolerances have not passed since, by the steady clock: the wall clock may have
    // been wrong then and be right now. Meanwhile every knock is refused, and recorded.
    [[nodiscard]] bool is_closed(Instant now) const { return closed_until_ && now < *closed_until_; }
    [[nodiscard]] Seconds closed_for(Instant now) const {
        return is_closed(now) ? std::chrono::ceil<Seconds>(*closed_until_ - now) : Seconds{0};
    }

    // Messages made at or before the floor are refused: their tags may have been forgotten.
    [[nodiscard]] UnixTime floor() const { return floor_; }
    [[nodiscard]] std::optional<UnixTime> client_floor(std::string_view client) const;
    // `time` is that of the tag's message.
    [[nodiscard]] bool holds(const Tag& tag, UnixTime time) const;
    // The time of the client's last close of the service.
    [[nodiscard]] std::optional<UnixTime> last_close(std::string_view client, const Service& service) const;
    [[nodiscard]] std::size_t tags_of(std::string_view client) const;
    [[nodiscard]] bool has_tags() const { return !tags_.empty(); }

    // To look at, and to correct by what the firewall says, in memory alone: after a restart the firewall is asked
    // again.
    [[nodiscard]] HeldGrants& grants() { return grants_; }

    // One turn: everything between begin() and commit() becomes durable together, or not at all.
    void begin();
    // `grant`, until `end`, is what the message opened.
    void add_tag(const Tag& tag, UnixTime time, std::string_view client);
    void add_tag_and_grant(const Tag& tag, UnixTime time, const ClientGrant& grant, Instant end, Instant now);
    // The client closed the service with a message of this time; its grant for the address ends.
    void close(const ClientGrant& grant, UnixTime time, Instant now);
    void end(const ClientGrant& grant, Instant now);
    void raise_client_floor(std::string_view client, UnixTime floor);
    [[nodiscard]] Result<void> commit();
    [[nodiscard]] bool in_turn() const { return in_turn_; }

    // Forgets tags whose messages are stale by now, at most `most` of them, behind a floor. True if there is more to
    // forget. The file has them, and no floor, until it is written anew.
    bool prune(UnixTime now, Seconds tolerance, std::size_t most = SIZE_MAX);
    // Whether the file should be written anew: most of it is forgotten by now, or it says that the record is closed
    // when it is not.
    [[nodiscard]] bool wants_renewal(Instant now) const;
    [[nodiscard]] Result<void> renew(Instant now);

private:
    using TagKey = std::pair<UnixTime, Bytes<16>>;

    Record(std::string folder, Seconds flows_after) : journal_(std::move(folder)), grants_(flows_after) {}
    void take_in(const Journal::Content& content, const Now& now, Seconds tolerance);
    void begin_closed(const Now& now, Seconds tolerance);
    void apply(const JournalEntry& entry, Instant now);
    void add(JournalEntry entry, Instant now);
    void put_tag(const JournalEntry& entry);
    void put_grant(const ClientGrant& grant, std::optional<Instant> end, Instant now);
    void uncount_tag(const std::string& client);
    [[nodiscard]] std::vector<JournalEntry> live_entries() const;
    [[nodiscard]] bool write_anew(std::optional<Instant> closed_until);

    Journal journal_;
    std::uint64_t serial_ = 0;
    BootId boot_{};
    UnixTime floor_{};
    std::optional<Instant> closed_until_;  // as long as the file says that the record is closed
    Loss lost_ = Loss::none;
    std::string damage_;

    std::map<TagKey, std::string> tags_;  // whose
    std::map<std::string, std::size_t, std::less<>> tag_counts_;
    std::map<std::string, UnixTime, std::less<>> client_floors_;
    std::map<std::pair<std::string, Service>, UnixTime> closes_;
    HeldGrants grants_;

    bool in_turn_ = false;
    std::vector<JournalEntry> turn_;
    std::vector<std::function<void()>> undo_;  // in the order in which it was done
};

}  // namespace oneknock

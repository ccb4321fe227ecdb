// Decides on candidates: verification, then the refusals in their order, then the record (docs/protocol.md,
// "Receiving", steps 5 to 8). Knows neither sockets nor processes; time comes in, decisions go out.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/token_bucket.hpp"
#include "server/gatekeeper/decide/reason.hpp"
#include "server/gatekeeper/keys/generation_uses.hpp"
#include "server/gatekeeper/keys/key_problems.hpp"
#include "server/gatekeeper/record/audit.hpp"
#include "server/gatekeeper/record/record.hpp"
#include "server/gatekeeper/verify/verifier.hpp"
#include "server/privsep/messages.hpp"

namespace oneknock {

struct Decision {
    bool verified = false;          // a key of ours was found
    std::optional<Reason> refused;  // nothing: accepted
    std::string client;             // of verified ones
    std::uint32_t generation = 0;
    std::uint32_t door_generation = 0;
    Request request;         // of verified ones
    Address source;          // of the packets
    Address address;         // to open for, once resolved
    Seconds duration{0};     // granted, for open
    Seconds skew{0};         // message time minus our clock
    bool in_record = false;  // in the record, and within the client's share and rate: so in the audit as well
    // Of accepted ones: the client's grant of the service for the address.
    Instant ends{};                       // for open: not before it ended anyway
    std::optional<Instant> ended_before;  // when it would have ended without this knock, or had, if there was one
    std::int64_t first_packet_ns = 0;

    [[nodiscard]] ClientGrant grant() const { return {request.service(), address, client}; }
};

struct Limits {
    Seconds tolerance{60};
    Seconds grant_default{30};
    Seconds grant_maximum{3600};
    Grace rotation_grace{};
    Seconds flows_after{0};  // HeldGrants
};

class Decider {
public:
    Decider(Verifier verifier, Record record, Audit audit, const Limits& limits)
        : verifier_(std::move(verifier)),
          record_(std::move(record)),
          audit_(std::move(audit)),
          limits_(limits),
          uses_(limits.rotation_grace) {}

    // One turn of the loop, in three steps. First it decides on all candidates that wait; then it commits them to
    // disk, before which none may be acted on: if that fails, what would have been accepted is refused as
    // record-failed. Last it notes their lines for the audit.
    [[nodiscard]] std::vector<Decision> decide(const std::vector<Candidate>& candidates, const Now& now);
    void make_durable(std::vector<Decision>& decisions, const Now& now);
    void note_for_audit(const std::vector<Decision>& decisions, const Now& now);
    // Writes the lines that were noted, of any number of turns: when no knock waits, and before the audit is read.
    // Lines that cannot be written stay for the next time, unless there are more than `most_unwritten_lines`.
    static constexpr std::size_t most_unwritten_lines = 4096;  // about a megabyte
    [[nodiscard]] std::size_t unwritten_lines() const { return unwritten_.size(); }
    [[nodiscard]] Result<void> write_audit();
    // All of them.
    [[nodiscard]] std::vector<Decision> decide_and_record(const std::vector<Candidate>& candidates, const Now& now);

    // For how long the keys in force let a client of this name open the service; 0: not at all. What it has open lasts
    // no longer than that. Where its key is in other files as well, they have to let it, too.
    [[nodiscard]] Seconds longest_for(const std::string& client, const Service& service, UnixTime now) const;
    // When it will have expired, or the first client that has the same key; nothing: none ever does.
    [[nodiscard]] std::optional<UnixTime> expiry_of(const std::string& client) const;

    [[nodiscard]] bool knows(const std::string& client) const { return find(client) != nullptr; }

    // Why the record could not be written, the last time it could not.
    [[nodiscard]] const std::string& record_problem() const { return record_problem_; }

    // A client of a reload, ready to be taken in; the audit must have all its lines. Throws LockedMemoryError where its
    // keys do not fit in.
    [[nodiscard]] PreparedClient prepare(Client client);
    // Takes in what changed: only moves what prepare() made. Leaves what is replaced in its place (Verifier::change).
    void change_keys(KeyChange& change);
    // Instead of the latter, where the reload is refused.
    void keep_keys() { uses_.forget_what_was_looked_up(); }

    // Ends generations of keys early as far as the audit tells; once after the start, before the first decision.
    void learn_uses() { uses_.learn(verifier_.keyring(), audit_); }
    // Whether the ends of the door's generations may have changed since the last call.
    [[nodiscard]] bool door_has_changed() { return uses_.door_has_changed(); }

    // For what is odd about them.
    [[nodiscard]] KeyProblems::InForce in_force() const {
        return {verifier_.keyring(), verifier_.sharing(), uses_.outdated()};
    }

    [[nodiscard]] Verifier& verifier() { return verifier_; }
    [[nodiscard]] Record& record() { return record_; }
    [[nodiscard]] Audit& audit() { return audit_; }
    [[nodiscard]] const Limits& limits() const { return limits_; }

private:
    // A client may knock this often (fresh messages, accepted or not), in bursts of this many.
    static constexpr Rate knocks_per_client{100, 1000};

    [[nodiscard]] const Client* find(const std::string& client) const;
    void note_uses(const std::vector<Decision>& decisions, UnixTime now);
    [[nodiscard]] bool accepts_door_generation(std::uint32_t door_generation, UnixTime now) const;
    [[nodiscard]] Decision decide_one(const Candidate& candidate, const Now& now);
    [[nodiscard]] Seconds longest_by(const std::string& client, const Service& service, UnixTime now) const;
    [[nodiscard]] const Verifier::Match& strictest(const std::vector<Verifier::Match>& matches,
                                                   const Candidate& candidate, const Now& now) const;
    void record_and_refuse(const Verifier::Match& match, const Tag& tag, const Now& now, Decision& decision);
    [[nodiscard]] std::optional<Reason> refusal_before_record(const Verifier::Match& match, const Candidate& candidate,
                                                              const Now& now,
                                                              const std::optional<Address>& address) const;
    [[nodiscard]] std::optional<Reason> refusal_by_record(const Verifier::Match& match, const Tag& tag,
                                                          Instant now) const;
    [[nodiscard]] std::optional<Reason> refusal_by_policy(const Verifier::Match& match, const Decision& decision,
                                                          Instant now);
    void add_to_record(const Verifier::Match& match, const Tag& tag, const Now& now, Decision& decision);
    void set_ends(const Verifier::Match& match, Instant now, Decision& decision);

    Verifier verifier_;
    Record record_;
    Audit audit_;
    Limits limits_;
    GenerationUses uses_;
    std::map<std::string, TokenBucket> rates_;       // by client: as many as there are clients
    std::map<std::string, TokenBucket> flow_rates_;  // likewise
    std::string record_problem_;
    std::vector<AuditEntry> unwritten_;
};

}  // namespace oneknock

// Counts and log lines of decisions. A line names the client, the source and, where it is the clock, the seconds of
// skew; what no key of ours made is junk, and only counted. All lines that a packet can bring about share one budget,
// and no client has more than half of it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "common/clock.hpp"
#include "common/token_bucket.hpp"
#include "server/gatekeeper/decide/decider.hpp"

namespace oneknock {

class DecisionLog {
public:
    void accepted(const Decision& decision, Instant now);
    void refused(const Decision& decision, Reason reason, Instant now);
    // A grant that the client gave up for a new one.
    void displaced(const ClientGrant& grant, Instant now);
    // An error that a knock of this client has brought about, or knocks of any ("").
    void problem(const std::string& client, const std::string& what, Instant now);

    [[nodiscard]] std::uint64_t accepted_count() const { return accepted_; }
    [[nodiscard]] std::uint64_t refused_count(std::size_t reason) const { return refused_[reason]; }
    [[nodiscard]] std::uint64_t unlogged_count() const { return unlogged_; }

private:
    [[nodiscard]] bool may_log(double kept, const std::string& client, Instant now);

    std::uint64_t accepted_ = 0;
    std::array<std::uint64_t, reason_count> refused_{};
    TokenBucket lines_, counts_;
    std::map<std::string, TokenBucket> shares_;  // by client: as many as there are clients, and ""
    std::uint64_t unlogged_ = 0;                 // all in all
    std::uint64_t last_said_ = 0;                // of these, when the log last said how many
};

// "alice opens tcp/22 for 192.0.2.7 for 30s" and so on; for logs and for `oneknockd --read`.
[[nodiscard]] std::string describe(const Decision& decision);
// "replayed: ..." with what a reader needs to act on it.
[[nodiscard]] std::string describe_refusal(const Decision& decision, Reason reason);

}  // namespace oneknock

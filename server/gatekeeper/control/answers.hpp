// The gatekeeper's answers on the control socket: JSON texts with a schema number, ending in a line feed. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "server/gatekeeper/decide/decision_log.hpp"
#include "server/gatekeeper/decide/knock_latency.hpp"
#include "server/gatekeeper/keys/key_problems.hpp"
#include "server/gatekeeper/record/held_grants.hpp"
#include "server/privsep/messages.hpp"

namespace oneknock {

// Mode set: the elements of the administrator's sets that are not ours, and when the parent read them.
struct ForeignElementsSeen {
    ForeignElements elements;
    Instant at{};
};

struct StatusFigures {
    std::string door;
    Seconds uptime{};
    std::size_t clients = 0;
    std::size_t grants = 0;
    ForeignElementsSeen foreign;
    std::uint64_t dropped_lines = 0;  // of all rooms' logs
};

[[nodiscard]] std::string status_json(const StatusFigures& figures, const CaptureReport& report,
                                      const DecisionLog& decisions, const KnockLatency& times,
                                      const KeyProblems& problems, Instant now);
// What the keys in force are after a reload, and what is wrong with files; of a client if one is named.
[[nodiscard]] std::string reloaded_json(const Keyring& keyring, const std::string& client, const KeyProblems& problems,
                                        Instant now);
[[nodiscard]] std::string grants_json(const HeldGrants::Ends& grants, Instant now);
[[nodiscard]] std::string done_json();
[[nodiscard]] std::string closed_json(std::size_t count);  // so many grants
[[nodiscard]] std::string error_json(const std::string& what);

}  // namespace oneknock

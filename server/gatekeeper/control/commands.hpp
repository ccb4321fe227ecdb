// What oneknockctl asks: answered at once, or when the room that has to know has answered.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "common/token_bucket.hpp"
#include "server/gatekeeper/control/answers.hpp"
#include "server/gatekeeper/control/control_socket.hpp"
#include "server/gatekeeper/decide/decider.hpp"
#include "server/gatekeeper/decide/decision_log.hpp"
#include "server/gatekeeper/decide/knock_latency.hpp"
#include "server/gatekeeper/grants/grant_requests.hpp"
#include "server/gatekeeper/keys/key_problems.hpp"
#include "server/privsep/channel.hpp"

namespace oneknock {

class ControlCommands {
public:
    // Whom it asks, and what it tells of.
    struct Dependencies {
        Channel& listener;
        Channel& parent;
        Decider& decider;
        GrantRequests& grants;
        const DecisionLog& decisions;
        const KnockLatency& times;
        const KeyProblems& problems;
    };
    ControlCommands(Descriptor listening, const Dependencies& dependencies)
        : socket_(std::move(listening)), dependencies_(dependencies) {}

    void begin(Instant now) { started_ = now; }
    [[nodiscard]] const ControlSocket& socket() const { return socket_; }
    void serve(Instant now);

    // Answers of the other rooms. False: nobody asked for this report.
    [[nodiscard]] bool handle(const CaptureReport& report, Instant now);
    void handle(const TrialReply& reply);
    void handle(const ForeignElements& foreign, Instant now) { foreign_ = {foreign, now}; }
    void handle(const DroppedLines& lines) { lines_dropped_by_parent_ = lines.count; }
    void handle(const GrantRequests::Revocation& revocation);
    void handle(const Settled& settled, Instant now);
    // A reload is done, whoever asked for it; and the last request that came before it began. Those who asked are
    // answered when the firewall has what it changed.
    void reloaded(const Result<void>& result, RequestId last_request, Instant now);
    // Whether one of those who asked for it gives wrong files no time.
    [[nodiscard]] bool is_strict(RequestId last_request) const;
    // Of a line that says no more than that somebody has asked: whoever may ask may not fill the log.
    [[nodiscard]] bool may_log(Instant now);

private:
    using Connection = ControlSocket::Connection;
    void asked(Connection connection, std::string_view line, Instant now);
    void ask_for_report(Connection connection);
    void revoke(Connection connection, const std::string& client, Instant now);
    void reload(Connection connection, std::string_view words, Instant now);
    [[nodiscard]] std::string meant_instead(const std::string& name) const;
    void settle(RequestId last_request);
    void refuse(Connection connection, const std::string& why);

    struct ReloadWaiter {
        Connection connection = 0;
        bool strict = false;
        std::string client;             // that it wants to hear of
        std::size_t failed_closes = 0;  // before the reload
    };

    ControlSocket socket_;
    Dependencies dependencies_;
    Instant started_{};
    std::set<RequestId> reports_asked_;
    std::map<RequestId, ReloadWaiter> reload_waiters_;  // by the request made for them
    std::map<RequestId, ReloadWaiter> settling_;        // likewise: reloaded, but not in the kernel yet
    RequestId last_reload_request_ = 0;
    ForeignElementsSeen foreign_;
    std::uint64_t lines_dropped_by_parent_ = 0;
    TokenBucket lines_;
    std::uint64_t unlogged_ = 0;  // since the log last said how many
};

}  // namespace oneknock

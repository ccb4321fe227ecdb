#include "server/gatekeeper/decide/decision_log.hpp"

#include <cstdlib>
#include <utility>
#include <vector>

#include "common/log.hpp"

namespace oneknock {
namespace {

constexpr Rate lines{50, 1000};
constexpr Rate lines_of_one_client{25, 500};
constexpr Rate lines_that_count{1, 1};     // those that were left out
constexpr double kept_for_accepted = 0.5;  // of either: so that no refusals push them out

// For journalctl.
std::vector<journal::Field> fields_of(const Decision& decision, std::string_view what_became) {
    std::vector<journal::Field> fields{{"ONEKNOCK_DECISION", std::string(what_became)},
                                       {"ONEKNOCK_CLIENT", decision.client},
                                       {"ONEKNOCK_OPERATION", operation_name(decision.request.operation)},
                                       {"ONEKNOCK_SERVICE", decision.request.service().text()},
                                       {"ONEKNOCK_ADDRESS", decision.address.text()},
                                       {"ONEKNOCK_SOURCE", decision.source.text()}};
    if (decision.request.is_open() && !decision.refused)
        fields.push_back({"ONEKNOCK_DURATION", std::to_string(decision.duration.count())});
    return fields;
}

// Opening for a shorter time than the client's grant lasts anyway leaves it as it is.
std::string what_was_left(const Decision& decision) {
    if (!decision.request.is_open() || decision.ended_before != decision.ends) return "";
    return "; it was open for longer already, and stays so";
}

bool is_clock(Reason reason) {
    return reason == Reason::stale || reason == Reason::future || reason == Reason::wrong_epoch;
}

}  // namespace

std::string describe(const Decision& decision) {
    const std::string what = decision.client + ": " + operation_name(decision.request.operation) + " " +
                             decision.request.service().text() + " for " + decision.address.text();
    const bool grants = decision.request.is_open() && !decision.refused;
    return what + (grants ? ", " + std::to_string(decision.duration.count()) + "s" : "") + ", from " +
           decision.source.text();
}

std::string describe_refusal(const Decision& decision, Reason reason) {
    std::string line = std::string(reason_name(reason)) + ": " + describe(decision);
    if (is_clock(reason))
        line += "; the client's clock is " + std::to_string(std::abs(decision.skew.count())) + " s " +
                (decision.skew < Seconds{0} ? "behind" : "ahead");
    return line;
}

bool DecisionLog::may_log(double kept, const std::string& client, Instant now) {
    TokenBucket& share = shares_[client];
    lines_.refill(lines, now);
    share.refill(lines_of_one_client, now);
    if (lines_.tokens() < kept * lines.burst + 1 || share.tokens() < kept * lines_of_one_client.burst + 1) {
        ++unlogged_;
        return false;
    }
    lines_.take();
    share.take();
    if (unlogged_ > last_said_ && counts_.try_take(lines_that_count, now))
        log::warning(std::to_string(unlogged_ - std::exchange(last_said_, unlogged_)) +
                     " more lines about knocks were not logged; `oneknockctl status` counts them");
    return true;
}

void DecisionLog::accepted(const Decision& decision, Instant now) {
    ++accepted_;
    if (may_log(0, decision.client, now))
        log::info("accepted: " + describe(decision) + " (generation " + std::to_string(decision.generation) + ")" +
                      what_was_left(decision),
                  fields_of(decision, "accepted"));
}

void DecisionLog::refused(const Decision& decision, Reason reason, Instant now) {
    ++refused_[static_cast<std::size_t>(reason)];
    if (decision.verified && may_log(kept_for_accepted, decision.client, now))
        log::warning("refused: " + describe_refusal(decision, reason), fields_of(decision, reason_name(reason)));
}

void DecisionLog::displaced(const ClientGrant& grant, Instant now) {
    if (may_log(kept_for_accepted, grant.client, now))
        log::info(grant.client + ": sessions of " + grant.address.text() + " with " + grant.service.text() +
                  " end: it has some with " + std::to_string(HeldGrants::most_with_flows) + " other addresses by now");
}

void DecisionLog::problem(const std::string& client, const std::string& what, Instant now) {
    if (may_log(kept_for_accepted, client, now)) log::error(what);
}

}  // namespace oneknock

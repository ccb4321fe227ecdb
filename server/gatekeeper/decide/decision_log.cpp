#include "server/gatekeeper/decide/decision_log.hpp"

#include <cstdlib>
#include <utility>

#include "common/log.hpp"

namespace oneknock {
namespace {

constexpr Rate lines{5, 50};

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

void DecisionLog::accepted(const Decision& decision) {
    ++accepted_;
    log::info("accepted: " + describe(decision) + " (generation " + std::to_string(decision.generation) + ")");
}

void DecisionLog::refused(const Decision& decision, Reason reason, Instant now) {
    ++refused_[static_cast<std::size_t>(reason)];
    if (!decision.verified) return;
    if (!lines_.try_take(lines, now)) {
        ++unlogged_;
        return;
    }
    if (unlogged_ > 0)
        log::warning(std::to_string(std::exchange(unlogged_, 0)) + " more refusals were not logged, but counted");
    log::warning("refused: " + describe_refusal(decision, reason));
}

}  // namespace oneknock

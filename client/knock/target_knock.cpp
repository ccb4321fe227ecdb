#include "client/knock/target_knock.hpp"

#include "client/message/milliseconds.hpp"
#include "client/message/source_address.hpp"
#include "common/log.hpp"

namespace oneknock {
namespace {

Instant random_jitter() {
    const auto choices = static_cast<std::uint32_t>(repeat_jitter.count()) + 1;
    return std::chrono::milliseconds{random_below(choices)};
}

PassSchedule::Plan plan_of(const KnockSettings& settings) {
    const bool waits = settings.wait.has_value();
    return {.packets = settings.packets,
            .pace = settings.pace,
            .repeat = waits,
            .twice = is_sent_twice(settings),
            .adapts = waits && !settings.pace_chosen,
            .changes_carrier = waits && !settings.via_chosen};
}

}  // namespace

TargetKnock::TargetKnock(const Task& task, const Target& target, PcapWriter* record, Instant start)
    : task_(task),
      target_(target),
      record_(record),
      schedule_(plan_of(task.settings), start),
      watch_(target.local.value(), target.destination.value(), task.service.port),
      via_(task.settings.via) {}

Result<bool> TargetKnock::send_due(const Now& now) {
    if (now.steady < schedule_.due()) return false;
    const Instant jitter = random_jitter();
    const auto turn = schedule_.take(now.steady, jitter);
    const auto sent = send(turn, now);
    if (!sent) {
        if (!has_passed_ && !(task_.settings.wait && may_mend(sent.error()))) return tl::unexpected(sent.error());
        failure_ = sent.error();
        schedule_.discard_message(now.steady, jitter);
        return false;
    }
    if (!turn.ends_pass) return false;
    has_passed_ = true;
    failure_.reset();
    return true;
}

Result<void> TargetKnock::send(const PassSchedule::Turn& turn, const Now& now) {
    if (turn.other_carrier) {
        via_ = other(via_);
        changed_carrier_ = true;
    }
    const bool moved = turn.first == 0 && !turn.new_message && task_.settings.wait && has_moved();
    if (moved) schedule_.renew(now.steady);
    if (turn.new_message || moved)
        if (auto renewed = renew_message(now); !renewed) return renewed;
    if (turn.first == 0) ports_ = ports_of_pass(message_, task_.settings.packets);
    const auto ports = std::span<const std::uint16_t>(ports_).subspan(turn.first, turn.count);
    sender_->send(ports);
    account_.packets += ports.size();
    if (task_.settings.verbose) account_.end = read_clocks().steady;
    record(ports, now.steady);
    if (!turn.ends_pass) return {};
    ++account_.passes;
    return check_pass(sender_->end_pass(), message_length(target_.family), *target_.destination);
}

// The old sender lives until the new one has its port, so that the two differ.
Result<void> TargetKnock::renew_message(const Now& now) {
    const bool is_first = sender_ == nullptr && !failure_;  // the target has just been found
    tell();
    if (!is_first)
        if (auto found = follow_route(now.steady); !found) return found;
    auto sender = open_sender(via_, *target_.local, *target_.destination);
    if (!sender) return tl::unexpected(sender.error());
    sender_ = *std::move(sender);
    message_ = make_message(task_, target_.address, now.wall);
    made_ = now.steady;
    ++messages_;
    account_ = {0, 0, now.steady, now.steady};
    return {};
}

// What was seen from another address says nothing about this one: the port is tried before the knock again.
Result<void> TargetKnock::follow_route(Instant now) {
    const auto target = find_target(*target_.destination, task_.key, task_.settings, next_is_translated());
    if (!target) return tl::unexpected(target.error());
    if (target->local != target_.local) {
        watch_.move_to(*target->local);
        watch_.attempt_before(now);
    }
    target_ = *target;
    return {};
}

bool TargetKnock::has_moved() const {
    const auto local = route_source(*target_.destination);
    return !local || *local != *target_.local;
}

// The name service is asked only when a message has been in vain, and it may lie: both forms take turns.
bool TargetKnock::next_is_translated() {
    const SourceChoice& source = task_.settings.source;
    if (!task_.settings.wait || source.named || !may_be_observed(task_.key.client.source)) return false;
    if (!has_passed_ || target_.destination->address.family == Family::ipv4 || is_numeric(task_.key.door.address))
        return false;
    if (!behind_nat64_) behind_nat64_ = is_behind_nat64(target_.destination->address);
    return *behind_nat64_ && target_.family == Family::ipv6;
}

void TargetKnock::record(std::span<const std::uint16_t> ports, Instant now) const {
    if (record_ == nullptr) return;
    using std::chrono::microseconds;
    const UnixTime time = message_.request.made_at() - task_.settings.time_offset;
    record_->add(via_, {target_.local->address, target_.destination->address, source_port(), 0}, ports,
                 time + std::chrono::floor<microseconds>(now - made_));
}

void TargetKnock::tell() const {
    if (!task_.settings.verbose || account_.packets == 0) return;
    const std::string passes = account_.passes == 1 ? "" : " in " + std::to_string(account_.passes) + " passes";
    log::info("message " + std::to_string(messages_) + ": " + std::to_string(account_.packets) + " packets" + passes +
              " by " + via_name(via_) + " from " + target_.local->address.text() + " port " +
              std::to_string(source_port()) + " to " + target_.destination->address.text() + " within " +
              milliseconds_text(account_.end - account_.begin) + " ms");
}

}  // namespace oneknock

#include "client/knock/target_knock.hpp"

namespace oneknock {
namespace {

Instant random_jitter() {
    const auto choices = static_cast<std::uint32_t>(repeat_jitter.count()) + 1;
    return std::chrono::milliseconds{random_below(choices)};
}

}  // namespace

TargetKnock::TargetKnock(const Task& task, const Target& target, PcapWriter* record, Instant start)
    : task_(task),
      target_(target),
      record_(record),
      schedule_({task.settings.packets, task.settings.pace, task.settings.wait.has_value()}, start),
      watch_(target.local.value(), target.destination.value(), task.service.port) {}

Result<bool> TargetKnock::send_due(const Now& now) {
    if (now.steady < schedule_.due()) return false;
    const Instant jitter = random_jitter();
    const auto turn = schedule_.take(now.steady, jitter);
    const auto sent = send(turn, now);
    if (!sent) {
        if (!has_passed_) return tl::unexpected(sent.error());
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
    if (turn.new_message)
        if (auto renewed = renew_message(now); !renewed) return renewed;
    if (turn.first == 0) ports_ = ports_of_pass(message_, task_.settings.packets);
    const auto ports = std::span<const std::uint16_t>(ports_).subspan(turn.first, turn.count);
    sender_->send(ports);
    record(ports, now.steady);
    if (!turn.ends_pass) return {};
    return check_pass(sender_->end_pass(), message_length(target_.family), *target_.destination);
}

// The old sender lives until the new one has its port, so that the two differ.
Result<void> TargetKnock::renew_message(const Now& now) {
    const bool is_first = sender_ == nullptr;  // the target has just been found
    if (!is_first)
        if (auto found = follow_route(); !found) return found;
    auto sender = open_sender(task_.settings.via, *target_.local, *target_.destination);
    if (!sender) return tl::unexpected(sender.error());
    sender_ = *std::move(sender);
    message_ = make_message(task_, target_.address, now.wall);
    made_ = now.steady;
    return {};
}

Result<void> TargetKnock::follow_route() {
    const auto target = find_target(*target_.destination, task_.key, task_.settings);
    if (!target) return tl::unexpected(target.error());
    if (target->local != target_.local) watch_.move_to(*target->local);
    target_ = *target;
    return {};
}

void TargetKnock::record(std::span<const std::uint16_t> ports, Instant now) const {
    if (record_ == nullptr) return;
    using std::chrono::microseconds;
    const UnixTime time = message_.request.made_at() - task_.settings.time_offset;
    record_->add(task_.settings.via, {target_.local->address, target_.destination->address, source_port(), 0}, ports,
                 time + std::chrono::floor<microseconds>(now - made_));
}

std::vector<TargetKnock> make_knocks(const Task& task, const std::vector<Target>& targets, PcapWriter* record) {
    std::vector<TargetKnock> knocks;
    knocks.reserve(targets.size());
    const Instant start = read_clocks().steady;
    for (const Target& target : targets) knocks.emplace_back(task, target, record, start);
    return knocks;
}

}  // namespace oneknock

// One target's knock while it goes on: messages and passes as they fall due, and the watch on the port.
#pragma once

#include <memory>
#include <optional>

#include "client/knock/pcap_writer.hpp"
#include "client/knock/port_watch.hpp"
#include "client/knock/sender.hpp"
#include "client/knock/targets.hpp"
#include "client/message/make_message.hpp"
#include "client/message/pass_schedule.hpp"

namespace oneknock {

class TargetKnock {
public:
    // The target needs a destination and a local address. `record` may be null; it and the task outlive this.
    TargetKnock(const Task& task, const Target& target, PcapWriter* record, Instant start);

    [[nodiscard]] Instant due() const { return schedule_.due(); }

    // Sends what is due. True if a pass went out whole. One that fails is an error only while none has succeeded: a
    // network that is gone for a moment is what the next pass is for. The next pass then has a new message; each new
    // message takes the route and the address that this machine has by then.
    [[nodiscard]] Result<bool> send_due(const Now& now);

    [[nodiscard]] const std::optional<Error>& last_failure() const { return failure_; }  // of the last pass

    [[nodiscard]] PortWatch& watch() { return watch_; }
    [[nodiscard]] const Target& target() const { return target_; }
    [[nodiscard]] const Request& request() const { return message_.request; }  // of the last message
    [[nodiscard]] std::uint16_t source_port() const { return sender_ ? sender_->source_port() : std::uint16_t{0}; }
    [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return ports_; }  // of the last pass, as sent

private:
    Result<void> send(const PassSchedule::Turn& turn, const Now& now);
    Result<void> renew_message(const Now& now);
    Result<void> follow_route();
    void record(std::span<const std::uint16_t> ports, Instant now) const;

    const Task& task_;
    Target target_;
    PcapWriter* record_;
    PassSchedule schedule_;
    PortWatch watch_;
    KnockMessage message_;
    Instant made_{};
    std::unique_ptr<Sender> sender_;
    std::vector<std::uint16_t> ports_;
    bool has_passed_ = false;
    std::optional<Error> failure_;
};

// For targets that were not found by a dry run. `record` may be null.
[[nodiscard]] std::vector<TargetKnock> make_knocks(const Task& task, const std::vector<Target>& targets,
                                                   PcapWriter* record);

}  // namespace oneknock

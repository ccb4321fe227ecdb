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
    // The target needs a destination and a local address. `record` may be null; it and what the task names outlive
    // this.
    TargetKnock(const Task& task, const Target& target, PcapWriter* record, Instant start);

    [[nodiscard]] Instant due() const { return schedule_.due(); }
    // Whether a pass, or a pass of a new message, begins if send_due() is called now.
    [[nodiscard]] bool begins_pass(Instant now) const { return now >= due() && schedule_.is_between_passes(); }
    [[nodiscard]] bool begins_message(Instant now) const { return begins_pass(now) && schedule_.needs_message(now); }

    // Sends what is due. True if a pass went out whole. One that fails is an error only while none has succeeded, and
    // with --wait only if time does not mend it: a network that is gone for a moment is what the next pass is for. The
    // next pass then has a new message; each new message takes the route and the address that this machine has by then,
    // and so does a pass that would leave from an address that is no longer the route's.
    [[nodiscard]] Result<bool> send_due(const Now& now);

    [[nodiscard]] bool has_passed() const { return has_passed_; }                        // once at least
    [[nodiscard]] const std::optional<Error>& last_failure() const { return failure_; }  // of the last pass

    [[nodiscard]] PortWatch& watch() { return watch_; }
    [[nodiscard]] const PortWatch& watch() const { return watch_; }
    [[nodiscard]] const Target& target() const { return target_; }
    [[nodiscard]] const Request& request() const { return message_.request; }  // of the last message
    [[nodiscard]] std::uint16_t source_port() const { return sender_ ? sender_->source_port() : std::uint16_t{0}; }
    [[nodiscard]] Via via() const { return via_; }
    [[nodiscard]] bool changed_carrier() const { return changed_carrier_; }  // at least once
    [[nodiscard]] Instant pace() const { return schedule_.pace(); }
    [[nodiscard]] std::size_t messages() const { return messages_; }
    [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return ports_; }  // of the last pass, as sent

    // For --verbose: what has left of the last message; nothing if nothing has.
    void tell() const;

private:
    struct Account {
        std::size_t packets = 0, passes = 0;
        Instant begin{}, end{};
    };

    Result<void> send(const PassSchedule::Turn& turn, const Now& now);
    Result<void> renew_message(const Now& now);
    Result<void> follow_route(Instant now);
    [[nodiscard]] bool has_moved() const;
    bool next_is_translated();
    void record(std::span<const std::uint16_t> ports, Instant now) const;

    Task task_;
    Target target_;
    PcapWriter* record_;
    PassSchedule schedule_;
    PortWatch watch_;
    Via via_;
    bool changed_carrier_ = false;
    KnockMessage message_;
    std::size_t messages_ = 0;
    Account account_;
    Instant made_{};
    std::unique_ptr<Sender> sender_;
    std::vector<std::uint16_t> ports_;
    bool has_passed_ = false;
    std::optional<Error> failure_;
    std::optional<bool> behind_nat64_;  // of another prefix than the well-known one; nothing before that was asked
};

}  // namespace oneknock

// What the user reads about a knock: lines, hints and JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/knock/target_knock.hpp"
#include "client/options/options.hpp"
#include "common/protocol/message.hpp"

namespace oneknock {

// One target's knock, as far as it went.
struct Report {
    std::string service;  // as the user named it
    Request request;
    std::optional<Address> destination;
    std::uint16_t source_port = 0;
    Via via = Via::udp;
    std::vector<std::uint16_t> ports;  // in sending order
    bool sent = false;
    bool twice = false;             // so many packets each time
    std::optional<bool> was_open;   // before the knock; nothing without --wait
    std::optional<bool> confirmed;  // nothing without --wait, and where the port was so before
    std::optional<Instant> elapsed;
    PortWatch::Sign sign = PortWatch::Sign::silence;  // what a closed port answered
    bool changed_carrier = false;                     // --wait has tried both
    std::string failure;                              // why the last pass could not be sent, if it could not
};

// The address that was knocked at, in words.
[[nodiscard]] std::string place(const Report& report);
// "sent: open tcp/22 for 192.0.2.7 at 203.0.113.5 (64 packets); ..."
[[nodiscard]] std::string sent_line(const Report& report);
// "open: tcp/22 at 203.0.113.5 after 3.1 ms", or "closed: ..."; "was open before: ..." where the knock may have done
// nothing.
[[nodiscard]] std::string confirmed_line(const Report& report);
// Everything a dry run has to tell; several lines.
[[nodiscard]] std::string dry_run_text(const Report& report);
// One object, one line, without a line feed.
[[nodiscard]] std::string json_line(const Report& report);

// A knock that was sent, with what was seen of the port, but not whether that was the goal.
[[nodiscard]] Report report_of(const TargetKnock& knock, const KnockOptions& options);
// To standard output, in the form that the options ask for.
[[nodiscard]] Result<void> print_report(const Report& report, const KnockOptions& options);

inline void keep_first_error(Result<void>& result, Result<void> next) {
    if (result && !next) result = std::move(next);
}

}  // namespace oneknock

#include "client/commands/reasons.hpp"

#include <utility>

#include "client/message/source_address.hpp"
#include "common/protocol/special_purpose.hpp"

namespace oneknock {
namespace {

using Sign = PortWatch::Sign;
using Hints = std::vector<std::string>;

std::string wait_text(const KnockOptions& options) {
    const std::chrono::milliseconds wait = options.wait.value_or(default_wait);
    const auto seconds = std::chrono::floor<Seconds>(wait);
    return wait == seconds ? duration_text(seconds) : std::to_string(wait.count()) + "ms";
}

std::string what_was_seen(const Report& report) {
    if (!report.request.is_open()) return "; it still accepts connections";
    if (report.sign == Sign::reset) return "; it answers with resets, as a closed port does";
    return report.sign == Sign::silence ? "; nothing answers" : "; this machine or a router says it cannot be reached";
}

// What lets nothing through has its reason on the way; what answers has it in the knock.
Hints hints_about_the_way(const Report& report, const KeyFile& key) {
    if (!report.request.is_open() || report.sign == Sign::reset) return {};
    Hints hints;
    if (report.sign == Sign::unreachable) hints.push_back("check this machine's network, and its routes");
    hints.push_back("the server may be off, a firewall in front of it may drop packets to " +
                    report.request.service().text() + ", or fail2ban or its like may have banned this address");
    hints.push_back(key.door.address + " may no longer be the door's address; it resolved to " + place(report));
    return hints;
}

std::string carrier_hint(const Report& report, const KnockOptions& options) {
    if (report.changed_carrier)
        return "the knock was sent by udp and by tcp, fast and slowly: a firewall that drops both may be on the way";
    if (options.via_chosen && report.via == Via::tcp)
        return "connection attempts may be filtered on the way: try --via udp, or leave --via out";
    return "UDP may be filtered on the way: try --via tcp, or wait longer without --via";
}

std::string address_hint(const Report& report, const SourcePolicy& policy) {
    if (report.request.address.is_unspecified())
        return "the server may see another address for the knock than for the connection, or several for one knock, if "
               "there are two uplinks or a carrier's NAT on the way: try --via tcp, or --source ADDR";
    const std::string hint = "the knock asked for " + report.request.address.text() +
                             "; if there is a NAT on the way, the server sees another address: try ";
    return hint + (may_be_observed(policy) ? "--source observed" : "--source YOUR.PUBLIC.ADDRESS");
}

Hints hints_about_the_knock(const Report& report, const KeyFile& key, const KnockOptions& options, UnixTime now) {
    Hints hints{"this machine's clock says " + time_text(now) +
                    "; the server refuses knocks that are more than a minute off: set it, or use --time-offset",
                address_hint(report, key.client.source)};
    // An address that the Internet cannot tell from others is likely translated on the way.
    const Address& asked = report.request.address;
    if (!asked.is_unspecified() && !is_globally_reachable(asked)) std::swap(hints[0], hints[1]);
    hints.insert(hints.end(),
                 {"the key of client " + key.client.name + " (generation " + std::to_string(key.client.generation) +
                      ", door generation " + std::to_string(key.door.generation) +
                      ") may be revoked or replaced: ask the administrator",
                  carrier_hint(report, options)});
    return hints;
}

std::string last_hint(const Report& report) {
    if (!report.request.is_open())
        return "another knock, a trusted network or another client at the same address may keep it open";
    if (report.sign != Sign::reset) return "the service must be allowed for this client";
    return "is the service itself running, and allowed for this client? The guard's reset looks like any closed port's";
}

}  // namespace

Error timed_out(const Report& report, const KeyFile& key, const KnockOptions& options, UnixTime now) {
    if (!report.sent && !report.failure.empty()) return never_sent({ExitCode::unavailable, report.failure}, options);
    std::string text = report.request.service().text() + " at " + place(report) +
                       (report.request.is_open() ? " did not open" : " did not close") + " within " +
                       wait_text(options) + what_was_seen(report);
    Hints hints;
    if (!report.failure.empty()) hints.push_back("the last knock could not be sent: " + report.failure);
    for (const Hints& more :
         {hints_about_the_way(report, key), hints_about_the_knock(report, key, options, now), {last_hint(report)}})
        hints.insert(hints.end(), more.begin(), more.end());
    for (const std::string& hint : hints) text += "\n  - " + hint;
    return {ExitCode::try_later, text};
}

Error never_sent(const Error& error, const KnockOptions& options) {
    return {error.code, error.message + " (tried again for " + wait_text(options) + ")"};
}

}  // namespace oneknock

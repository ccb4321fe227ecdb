#include "client/commands/report.hpp"

#include <cstdio>

#include "client/message/source_address.hpp"
#include "common/json.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

std::string for_whom(const Address& address) {
    return address.is_unspecified() ? "the address the server sees" : address.text();
}

std::string where(const Report& report) {
    return report.destination ? report.destination->text() : "an unknown address";
}

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string what(const Report& report) {
    return operation_name(report.request.operation) + " " + report.request.service().text() + " for " +
           for_whom(report.request.address) + " at " + where(report);
}

std::string port_list(const std::vector<std::uint16_t>& ports, std::string_view separator) {
    return join(ports, number, separator);
}

std::string wait_text(std::chrono::milliseconds wait) {
    const auto seconds = std::chrono::floor<Seconds>(wait);
    return wait == seconds ? duration_text(seconds) : number(static_cast<std::uint64_t>(wait.count())) + "ms";
}

std::string carrier_hint(Via via) {
    if (via == Via::udp) return "UDP may be filtered on the way: try --via tcp";
    return "connection attempts may be filtered on the way: try --via udp";
}

std::string address_hint(const Report& report, const SourcePolicy& policy) {
    if (report.request.address.is_unspecified())
        return "the server may see another address for the knock than for the connection: try --source ADDR";
    const std::string hint = "the knock asked for " + report.request.address.text() +
                             "; if there is a NAT on the way, the server sees another address: try ";
    return hint + (may_be_observed(policy) ? "--source observed" : "--source YOUR.PUBLIC.ADDRESS");
}

}  // namespace

std::string milliseconds_text(Instant time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", std::chrono::duration<double, std::milli>(time).count());
    return text;
}

std::string sent_line(const Report& report) {
    std::string line = "sent: " + what(report) + " (" + number(report.ports.size()) + " packets); nothing is confirmed";
    if (report.request.protocol == protocol_tcp)
        line += report.request.is_open() ? ", use --wait to see it open" : ", use --wait to see it close";
    return line;
}

std::string confirmed_line(const Report& report) {
    return (report.request.is_open() ? "open: " : "closed: ") + report.request.service().text() + " at " +
           where(report) + " after " + milliseconds_text(report.elapsed.value_or(Instant{})) + " ms";
}

std::string dry_run_text(const Report& report) {
    return "dry run, nothing is sent: " + what(report) + "\ntime: " + time_text(report.request.made_at()) + " (" +
           number(report.request.time) + ")\n" + via_name(report.via) + " from port " + number(report.source_port) +
           " to " + number(report.ports.size()) + " ports: " + port_list(report.ports, " ");
}

std::string json_line(const Report& report) {
    const auto quoted = [](const std::string& text) { return json::quote(text); };
    const Request& request = report.request;
    std::string line = R"({"schema":1,"operation":)" + quoted(operation_name(request.operation));
    line += R"(,"service":)" + quoted(report.service) + R"(,"protocol":)" + quoted(protocol_name(request.protocol));
    line += R"(,"port":)" + number(request.port) + R"(,"duration_s":)" + number(request.duration_s);
    line += R"(,"time":)" + number(request.time) + R"(,"address":)" + quoted(request.address.text());
    line += R"(,"destination":)" + (report.destination ? quoted(report.destination->text()) : "null");
    line += R"(,"source_port":)" + number(report.source_port) + R"(,"via":)" + quoted(via_name(report.via));
    line += R"(,"ports":[)" + port_list(report.ports, ",") + "]";
    line += std::string(R"(,"sent":)") + (report.sent ? "true" : "false");
    line += std::string(R"(,"confirmed":)") + (!report.confirmed ? "null" : *report.confirmed ? "true" : "false");
    return line + R"(,"elapsed_ms":)" + (report.elapsed ? milliseconds_text(*report.elapsed) : "null") + "}";
}

Error timed_out(const Report& report, const KeyFile& key, const KnockOptions& options, UnixTime now) {
    const std::string service = report.request.service().text();
    const bool opening = report.request.is_open();
    std::vector<std::string> hints{
        "this machine's clock says " + time_text(now) +
            "; the server refuses knocks that are more than a minute off: set it, or use --time-offset",
        "the key of client " + key.client.name + " (generation " + number(key.client.generation) +
            ", door generation " + number(key.door.generation) + ") may be revoked or replaced: ask the administrator",
        carrier_hint(options.via), address_hint(report, key.client.source),
        key.door.address + " may no longer be the door's address; it resolved to " + where(report)};
    if (opening) hints.push_back("is the service itself running, and allowed for this client?");
    else hints.push_back("another knock, a trusted network or another client at the same address may keep it open");
    std::string text = service + " at " + where(report) + (opening ? " did not open" : " did not close") + " within " +
                       wait_text(options.wait.value_or(default_wait));
    if (!report.failure.empty()) hints.insert(hints.begin(), "the last knock could not be sent: " + report.failure);
    for (const std::string& hint : hints) text += "\n  - " + hint;
    return {ExitCode::try_later, text};
}

Report report_of(const TargetKnock& knock, const KnockOptions& options) {
    Report report;
    report.service = options.service;
    report.request = knock.request();
    report.destination = knock.target().destination->address;
    report.source_port = knock.source_port();
    report.via = options.via;
    report.ports = knock.ports();
    report.sent = true;
    if (knock.last_failure()) report.failure = knock.last_failure()->message;
    return report;
}

Result<void> print_report(const Report& report, const KnockOptions& options) {
    if (options.json) return print_line(json_line(report));
    if (options.dry_run) return print_line(dry_run_text(report));
    return print_line(options.wait ? confirmed_line(report) : sent_line(report));
}

}  // namespace oneknock

#include "client/commands/report.hpp"

#include "client/message/milliseconds.hpp"
#include "common/json.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

std::string for_whom(const Address& address) {
    return address.is_unspecified() ? "the address the server sees" : address.text();
}

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string what(const Report& report) {
    return operation_name(report.request.operation) + " " + report.request.service().text() + " for " +
           for_whom(report.request.address) + " at " + place(report);
}

std::string json_bool(std::optional<bool> value) { return !value ? "null" : *value ? "true" : "false"; }

std::string port_list(const std::vector<std::uint16_t>& ports, std::string_view separator) {
    return join(ports, number, separator);
}

}  // namespace

std::string place(const Report& report) {
    return report.destination ? report.destination->text() : "an unknown address";
}

std::string sent_line(const Report& report) {
    std::string line = "sent: " + what(report) + " (" + number(report.ports.size()) + " packets" +
                       (report.twice ? ", twice" : "") + "); nothing is confirmed";
    if (report.request.protocol == protocol_tcp)
        line += report.request.is_open() ? ", use --wait to see it open" : ", use --wait to see it close";
    return line;
}

std::string confirmed_line(const Report& report) {
    const bool opening = report.request.is_open();
    const std::string service = report.request.service().text() + " at " + place(report);
    if (opening && report.was_open == true)
        return "was open before: " + service + "; what the knock did cannot be seen from here";
    if (!opening && report.was_open == false) return "was not open before: " + service;
    return (opening ? "open: " : "closed: ") + service + " after " +
           milliseconds_text(report.elapsed.value_or(Instant{})) + " ms";
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
    line += R"(,"was_open":)" + json_bool(report.was_open) + R"(,"confirmed":)" + json_bool(report.confirmed);
    return line + R"(,"elapsed_ms":)" + (report.elapsed ? milliseconds_text(*report.elapsed) : "null") + "}";
}

Report report_of(const TargetKnock& knock, const KnockOptions& options) {
    Report report;
    report.service = options.service;
    report.request = knock.request();
    report.destination = knock.target().destination->address;
    report.source_port = knock.source_port();
    report.via = knock.via();
    report.ports = knock.ports();
    report.sent = knock.has_passed();
    if (options.wait) report.was_open = knock.watch().was_open_before();
    report.sign = knock.watch().sign();
    report.changed_carrier = knock.changed_carrier();
    report.twice = is_sent_twice(options);
    if (knock.last_failure()) report.failure = knock.last_failure()->message;
    return report;
}

Result<void> print_report(const Report& report, const KnockOptions& options) {
    if (options.json) return print_line(json_line(report));
    if (options.dry_run) return print_line(dry_run_text(report));
    return print_line(options.wait ? confirmed_line(report) : sent_line(report));
}

}  // namespace oneknock

#include "server/ctl/audit_lines.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/json_text.hpp"
#include "common/nearest_word.hpp"
#include "common/text.hpp"
#include "server/gatekeeper/decide/reason.hpp"

namespace oneknock {
namespace {

Result<std::optional<UnixTime>> read_time(const char* option, const std::optional<std::string>& word, UnixTime now) {
    if (!word) return std::optional<UnixTime>();
    constexpr std::size_t length_of_a_day = 10;
    if (const auto ago = parse_seconds(*word); ago && *ago <= now.time_since_epoch()) return now - *ago;
    if (const auto time = parse_time(word->size() == length_of_a_day ? *word + "T00:00:00Z" : *word)) return time;
    return fail(ExitCode::usage, std::string(option) + " " + printable(*word) +
                                     ": must be a time ago like 90s, 2h or 7d, a date like 2027-01-31, or a time like "
                                     "2027-01-31T12:00:00Z");
}

Result<std::optional<Service>> read_service(const std::optional<std::string>& word, const ServiceNames& services) {
    if (!word) return std::optional<Service>();
    if (const auto service = Service::parse(*word)) return service;
    if (const auto found = services.find(*word); found != services.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [name, service] : services) names.push_back(name);
    const std::string meant = did_you_mean(*word, names);
    return fail(ExitCode::usage, "--service " + printable(*word) + ": the door has no such service" +
                                     (meant.empty() ? "; there are " + join(names) + ", or write tcp/22" : meant));
}

Result<std::optional<std::string>> read_decision(const std::optional<std::string>& word) {
    const std::vector<std::string> known = known_decisions();
    if (!word || std::ranges::find(known, *word) != known.end()) return word;
    const std::string meant = did_you_mean(*word, known);
    return fail(ExitCode::usage, "--decision " + printable(*word) +
                                     ": must be accepted, refused or a reason of refusals that the audit has" +
                                     (meant.empty() ? ", such as future or service-not-allowed" : meant));
}

// "ssh"; of what is no service of the door any more "tcp/22".
std::string service_text(const AuditLine& line, const ServiceNames& services) {
    const std::string text = line.protocol + "/" + std::to_string(line.port);
    const auto found = std::ranges::find(services, text, [](const auto& entry) { return entry.second.text(); });
    return found == services.end() ? text : found->first;
}

std::string decision_text(const AuditLine& line) {
    if (!line.reason.empty()) return line.decision + ": " + line.reason;
    std::string text = line.decision;
    if (line.duration_s > 0) text += " for " + duration_text(Seconds{line.duration_s});
    return line.address == line.source ? text : text + ", opened for " + line.address;
}

std::string row(const std::string& time, const std::string& client, const std::string& source,
                const std::string& operation, const std::string& service, const std::string& decision) {
    const auto padded = [](std::string text, std::size_t width) {
        text = printable(text);
        return text + std::string(text.size() < width ? width - text.size() : 0, ' ') + "  ";
    };
    return padded(time, 20) + padded(client, 16) + padded(source, 15) + padded(operation, 9) + padded(service, 9) +
           printable(decision) + "\n";
}

}  // namespace

std::vector<std::string> known_decisions() {
    // Of what cannot be known to be new, or is too much, there are no lines: anybody's copies could fill the audit.
    constexpr Reason without_lines[] = {Reason::unknown_key, Reason::stale, Reason::address_mismatch, Reason::replayed,
                                        Reason::rate_limited};
    std::vector<std::string> known{"accepted", "refused"};
    for (std::size_t i = 0; i < reason_count; ++i)
        if (std::ranges::find(without_lines, static_cast<Reason>(i)) == std::end(without_lines))
            known.emplace_back(reason_names[i]);
    return known;
}

bool needs_service_names(const AuditWords& words) { return words.service && !Service::parse(*words.service); }

Result<AuditFilter> audit_filter(const AuditWords& words, const ServiceNames& services, UnixTime now) {
    const auto since = read_time("--since", words.since, now);
    if (!since) return tl::unexpected(since.error());
    const auto until = read_time("--until", words.until, now);
    if (!until) return tl::unexpected(until.error());
    const auto decision = read_decision(words.decision);
    if (!decision) return tl::unexpected(decision.error());
    const auto service = read_service(words.service, services);
    if (!service) return tl::unexpected(service.error());
    if (*since && *until && **since > **until)
        return fail(ExitCode::usage, "--since is later than --until: there is nothing in between");
    if (*until && words.follow)
        return fail(ExitCode::usage, "--follow goes on with knocks to come, which --until leaves out; omit one");
    return AuditFilter{words.client, *service, *since, *until, *decision};
}

std::string audit_heading() { return row("TIME", "CLIENT", "SOURCE", "OPERATION", "SERVICE", "DECISION"); }

std::string audit_text(const AuditLine& line, const ServiceNames& services) {
    return row(time_text(line.when), line.client, line.source, line.operation, service_text(line, services),
               decision_text(line));
}

// The fields of oneknockd --read, and the service's name.
std::string audit_json(const AuditLine& line, const ServiceNames& services) {
    using nlohmann::ordered_json;
    ordered_json object{{"time", time_text(line.when)},
                        {"source", line.source},
                        {"client", line.client},
                        {"operation", line.operation},
                        {"protocol", line.protocol},
                        {"port", line.port},
                        {"service", service_text(line, services)},
                        {"decision", line.decision},
                        {"reason", line.reason.empty() ? ordered_json() : ordered_json(line.reason)},
                        {"address", line.address},
                        {"generation", line.generation}};
    if (line.reason.empty()) object["duration_s"] = line.duration_s;
    return json::text(object) + "\n";
}

}  // namespace oneknock

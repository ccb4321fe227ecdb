#include "keys/keygen/arguments.hpp"

#include <algorithm>
#include <filesystem>

#include "common/json.hpp"
#include "keys/config/daemon_config.hpp"
#include "keys/fields.hpp"
#include "keys/keyring.hpp"
#include "keys/names.hpp"
#include "keys/rotation.hpp"

namespace oneknock::keygen {
namespace {

tl::unexpected<Error> refuse(const std::string& text, std::string_view what) {
    return fail(ExitCode::usage, json::quote(text) + " " + std::string(what));
}

Result<std::string> absolute(const std::string& path) {
    std::error_code error;
    const auto whole = std::filesystem::absolute(path, error);
    if (error) return refuse(path, "is relative to a directory that no longer exists");
    return whole.lexically_normal().string();
}

}  // namespace

Result<std::string> name_argument(const std::string& text) {
    if (!is_valid_name(text)) return refuse(text, "is not a name: " + std::string(name_rule));
    return text;
}

// Stricter than what key files may hold: here somebody has just typed it.
Result<std::string> host_argument(const std::string& text) {
    if (!is_valid_host(text)) return refuse(text, "cannot be an address: " + std::string(host_rule));
    if (text.front() == '.' || text.find("..") != text.npos)
        return refuse(text, "is no host name: a part of it is empty");
    const std::string number = text.substr(0, text.find('%'));  // what follows is an interface, as in fe80::1%eth0
    if (text.find(':') != text.npos && !Address::parse(number))
        return refuse(text, "is no IPv6 address; no port belongs here: ports are named by --service");
    const std::string last = text.substr(text.find_last_of('.', text.size() - 2) + 1);
    if (last.find_first_not_of("0123456789.") == last.npos && !Address::parse(text))
        return refuse(text, "is no IPv4 address, and no host name ends in a number");
    return text;
}

Result<std::string> path_argument(const std::string& text) {
    if (text.empty()) return fail(ExitCode::usage, "must not be empty");
    return text;
}

Result<std::string> page_url_argument(const std::string& text) {
    constexpr std::string_view scheme = "https://";
    constexpr std::size_t longest = 200;  // with the longest key a code of 85 modules
    const auto is_of_urls = [](char c) { return c > ' ' && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>'; };
    if (!text.starts_with(scheme))
        return refuse(text,
                      "must begin with https://: a page that comes by http can be changed on its way, and its user "
                      "would type the passphrase into it");
    if (text.size() == scheme.size() || text.size() > longest || !std::ranges::all_of(text, is_of_urls))
        return refuse(text, "cannot be a page's address: at most " + std::to_string(longest) +
                                " characters of ASCII, without blanks, quotes and #");
    return text;
}

Result<std::string> folder_argument(const std::string& text) {
    auto path = path_argument(text);
    while (path && path->size() > 1 && path->back() == '/') path->pop_back();
    return path;
}

Result<std::string> state_argument(const std::string& text) { return path_argument(text).and_then(absolute); }

Result<std::string> socket_argument(const std::string& text) {
    const auto path = state_argument(text);
    if (path && path->size() > longest_socket_path)
        return refuse(*path,
                      "is too long for a socket: at most " + std::to_string(longest_socket_path) + " characters");
    return path;
}

Result<std::string> table_argument(const std::string& text) {
    if (!is_own_table_name(text)) return refuse(text, own_table_rule);
    return text;
}

Result<std::map<std::string, Service>> services_argument(const std::vector<std::string>& texts) {
    std::map<std::string, Service> services;
    if (texts.size() > most_services)
        return fail(ExitCode::usage, "a door has at most " + std::to_string(most_services) + " services");
    for (const std::string& text : texts) {
        const auto equals = text.find('=');
        const std::string name = text.substr(0, equals);
        const auto service = Service::parse(equals == text.npos ? "" : text.substr(equals + 1));
        if (!service) return refuse(text, "is not a name and a service like ssh=tcp/22 or vpn=udp/51820");
        if (!is_valid_name(name)) return refuse(name, "is not a name: " + std::string(name_rule));
        const auto same = std::ranges::find(services, *service, [](const auto& entry) { return entry.second; });
        if (same != services.end()) return refuse(text, "is the same service as " + json::quote(same->first));
        if (!services.emplace(name, *service).second) return refuse(name, "is the name of two services");
    }
    return services;
}

Result<std::vector<std::string>> interfaces_argument(const std::vector<std::string>& texts) {
    for (auto text = texts.begin(); text != texts.end(); ++text) {
        if (!is_valid_interface_name(*text))
            return refuse(*text, "cannot be an interface: " + std::string(interface_rule));
        if (std::find(texts.begin(), text, *text) != text) return refuse(*text, "appears twice");
        if (*text == "any" && texts.size() > 1) return refuse(*text, "means all interfaces; omit it or the others");
    }
    return texts;
}

Result<std::vector<std::string>> names_argument(const std::vector<std::string>& texts) {
    std::vector<std::string> names;
    for (const std::string& text : texts) {
        if (text.find(',') != std::string::npos) return refuse(text, "is not one service; repeat the option for each");
        if (!is_valid_name(text)) return refuse(text, "is not a service's name: " + std::string(name_rule));
        if (std::ranges::find(names, text) == names.end()) names.push_back(text);
    }
    return names;
}

Result<std::optional<Enrolment>> enrolment_argument(const std::string& text) {
    initialise_crypto();  // it has a checksum
    return parse_enrolment(text).map([](const Enrolment& enrolment) { return std::optional(enrolment); });
}

Result<PortSpan> span_argument(const std::string& text) { return PortSpan::parse(text); }

Result<SourcePolicy> source_argument(const std::string& text) {
    const auto policy = SourcePolicy::parse(text);
    if (!policy)
        return refuse(text,
                      "is not same, observed, any or a network like 192.0.2.0/24 (host bits must be "
                      "zero)");
    return *policy;
}

Result<Seconds> max_duration_argument(const std::string& text) {
    const auto duration = parse_seconds(text);
    if (!duration || *duration < Seconds{1} || *duration > fields::longest_duration)
        return refuse(text,
                      "is not a duration like 90s, 5m or 2h, from 1s to " + duration_text(fields::longest_duration));
    return *duration;
}

Result<Seconds> trial_argument(const std::string& text) {
    constexpr Seconds shortest{1}, longest{86400};  // as oneknockd --try has it
    const auto time = parse_seconds(text);
    if (!time || *time < shortest || *time > longest)
        return refuse(text, "is not a duration like 60s or 5m, from " + duration_text(shortest) + " to 1d");
    return *time;
}

Result<Seconds> overlap_argument(const std::string& text) {
    const auto overlap = parse_seconds(text);
    if (!overlap || *overlap > longest_overlap)
        return refuse(text, "is not a duration like 7d, 12h or 0s, at most " + duration_text(longest_overlap));
    return *overlap;
}

Result<std::optional<UnixTime>> date_argument(const std::string& text) {
    if (text == "never") return std::optional<UnixTime>();
    constexpr std::size_t length_of_a_day = 10;
    const auto time = parse_time(text.size() == length_of_a_day ? text + "T00:00:00Z" : text);
    if (!time) return refuse(text, "is not a date like 2027-01-31, a time like 2027-01-31T12:00:00Z, or never");
    return time;
}

}  // namespace oneknock::keygen

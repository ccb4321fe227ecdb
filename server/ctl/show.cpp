#include "server/ctl/show.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "server/ctl/host_clock.hpp"

namespace oneknock {
namespace {

using Json = nlohmann::ordered_json;

[[gnu::format(printf, 2, 3)]] void print(std::string& to, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char* line = nullptr;
    const int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    to += line;
    std::free(line);
}

long long number(const Json& json, const char* name) { return json.value(name, 0LL); }

const Json no_parts = Json::object();
// Where accepted knocks spent their time; empty if the daemon is of a version that does not say.
const Json& parts_of(const Json& status) { return status.contains("times") ? status.at("times") : no_parts; }

// "took      5.1 ms a knock: assembly 3.9, verification 0.0, record 1.1, netlink 0.1"
void print_times(std::string& to, const Json& parts) {
    const auto average_ms = [&](const char* part) {
        const Json& sum = parts.at(part);
        return sum.at("sum_ns").get<double>() / sum.at("count").get<double>() / 1e6;
    };
    if (!parts.contains("total") || number(parts.at("total"), "count") == 0) return;
    print(to, "took      %.1f ms an accepted knock", average_ms("total"));
    const char* separator = ": ";
    for (const auto& [part, sum] : parts.items()) {
        if (part == "total") continue;
        print(to, "%s%s %.1f", separator, part.c_str(), average_ms(part.c_str()));
        separator = ", ";
    }
    to += "\n";
}

// "FILE: what is wrong; CLIENT is kept out"
std::string wrong_file(const Json& file) {
    std::string text = file.value("problem", "") + "; " + file.value("consequence", "");
    if (file.contains("out_in_s")) text += " (" + std::to_string(number(file, "out_in_s")) + " s left)";
    return text;
}

const Json no_files = Json::array();
const Json& wrong_files_of(const Json& answer) {
    return answer.contains("key_files") ? answer.at("key_files") : no_files;
}

void print_wrong_files(std::string& to, const Json& status) {
    const long long count = number(status, "key_files_wrong");
    if (count == 0) return;
    print(to, "wrong     %lld key files\n", count);
    const Json& files = wrong_files_of(status);
    for (const Json& file : files) to += "  " + wrong_file(file) + "\n";
    if (const auto more = count - static_cast<long long>(files.size()); more > 0) print(to, "  and %lld more\n", more);
}

// Mode set.
void print_foreign_elements(std::string& to, const Json& status) {
    const auto count = number(status, "foreign_elements");
    if (count == 0) return;
    print(to, "foreign   %lld elements of the administrator's sets are not oneknock's\n", count);
    const Json elements = status.value("foreign", Json::array());
    for (const Json& element : elements) {
        const std::string service = element.value("protocol", "") + "/" + std::to_string(number(element, "port"));
        print(to, "  %s for %s, ", service.c_str(), element.value("address", "").c_str());
        if (element.at("remaining_s").is_null()) to += "without an end\n";
        else print(to, "%lld s left\n", number(element, "remaining_s"));
    }
    if (const auto more = count - static_cast<long long>(elements.size()); more > 0)
        print(to, "  and %lld more\n", more);
}

bool is_adrift(const Json& status) {
    const auto told = status.find("clock_synchronised");
    return told != status.end() && told->is_boolean() && !told->get<bool>();
}

}  // namespace

std::string refusal_in(const std::string& json) {
    const Json answer = Json::parse(json, nullptr, false);
    if (!answer.is_object()) return unreadable_answer;
    return answer.value("error", "");
}

std::string wrong_files_in(const std::string& json) {
    constexpr std::size_t most = 5;
    const Json answer = Json::parse(json);
    const long long count = number(answer, "key_files_wrong");
    if (count == 0) return "";
    std::string text = "what is right was reloaded, but " + std::to_string(count) +
                       (count == 1 ? " key file is wrong" : " key files are wrong");
    const Json& files = wrong_files_of(answer);
    for (std::size_t i = 0; i < std::min(most, files.size()); ++i)
        text += (i == 0 ? ": " : "; and ") + wrong_file(files[i]);
    return count > static_cast<long long>(most) ? text + "; oneknockctl status lists more" : text;
}

std::string status_table(const std::string& json) {
    const Json s = Json::parse(json);
    const Json& capture = s.at("capture");
    std::string text;
    print(text, "door      %s, up %lld s, %lld clients\n", s.value("door", "").c_str(), number(s, "uptime_s"),
          number(s, "clients"));
    print(text, "capture   %lld packets, %lld symbols, %lld dropped by the kernel\n", number(capture, "packets"),
          number(capture, "symbols"), number(capture, "dropped"));
    print(text, "grants    %lld live\n", number(s, "grants"));
    print_foreign_elements(text, s);
    print(text, "accepted  %lld\n", number(s, "accepted"));
    print_times(text, parts_of(s));
    long long refused = 0;
    for (const auto& [reason, count] : s.at("refused").items()) refused += count.get<long long>();
    print(text, "refused   %lld\n", refused);
    for (const auto& [reason, count] : s.at("refused").items())
        if (count != 0) print(text, "  %-20s %lld\n", reason.c_str(), count.get<long long>());
    const Json log = s.value("log", Json::object());
    if (const auto dropped = number(log, "dropped"); dropped > 0)
        print(text, "log       %lld lines were dropped: nobody read them\n", dropped);
    if (const auto unlogged = number(log, "unlogged"); unlogged > 0)
        print(text, "log       %lld lines about knocks were left out: there were too many\n", unlogged);
    if (is_adrift(s)) text += std::string("clock     ") + clock_is_adrift + "\n";
    print_wrong_files(text, s);
    return text;
}

std::string status_prometheus(const std::string& json) {
    const Json s = Json::parse(json);
    std::string text;
    const auto metric = [&](const char* name, const char* type, const char* help, long long value) {
        print(text, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", name, help, name, type, name, value);
    };
    metric("oneknock_uptime_seconds", "gauge", "Time since the daemon was ready.", number(s, "uptime_s"));
    metric("oneknock_clients", "gauge", "Clients in force.", number(s, "clients"));
    metric("oneknock_key_files_wrong", "gauge", "Key files that something is wrong with.",
           number(s, "key_files_wrong"));
    metric("oneknock_clients_on_old_keys", "gauge", "Clients whose file is wrong and who will be kept out soon.",
           number(s, "clients_on_old_keys"));
    if (s.contains("clock_synchronised") && s.at("clock_synchronised").is_boolean())
        metric("oneknock_clock_synchronised", "gauge", "Whether something keeps this host's clock right.",
               s.at("clock_synchronised").get<bool>() ? 1 : 0);
    metric("oneknock_grants", "gauge", "Live grants.", number(s, "grants"));
    metric("oneknock_foreign_elements", "gauge", "Elements of the administrator's sets that are not ours.",
           number(s, "foreign_elements"));
    const Json log = s.value("log", Json::object());
    metric("oneknock_log_dropped_total", "counter", "Lines of the log that nobody read.", number(log, "dropped"));
    metric("oneknock_log_unlogged_total", "counter", "Lines about knocks beyond what is logged.",
           number(log, "unlogged"));
    metric("oneknock_capture_packets_total", "counter", "Packets that passed the kernel's filter.",
           number(s.at("capture"), "packets"));
    metric("oneknock_capture_symbols_total", "counter", "Packets on a port of a live codebook.",
           number(s.at("capture"), "symbols"));
    metric("oneknock_capture_dropped_total", "counter", "Packets the kernel had no room for.",
           number(s.at("capture"), "dropped"));
    metric("oneknock_accepted_total", "counter", "Knocks accepted.", number(s, "accepted"));
    print(text,
          "# HELP oneknock_knock_seconds Time that accepted knocks took, by part.\n# TYPE oneknock_knock_seconds "
          "summary\n");
    for (const auto& [part, sum] : parts_of(s).items()) {
        const long long ns = number(sum, "sum_ns");
        print(text, "oneknock_knock_seconds_sum{part=\"%s\"} %lld.%09lld\n", part.c_str(), ns / 1'000'000'000,
              ns % 1'000'000'000);
        print(text, "oneknock_knock_seconds_count{part=\"%s\"} %lld\n", part.c_str(), number(sum, "count"));
    }
    print(text, "# HELP oneknock_refused_total Knocks refused, by reason.\n# TYPE oneknock_refused_total counter\n");
    for (const auto& [reason, count] : s.at("refused").items())
        print(text, "oneknock_refused_total{reason=\"%s\"} %lld\n", reason.c_str(), count.get<long long>());
    return text;
}

std::string grants_table(const std::string& json) {
    const Json answer = Json::parse(json);
    std::string text;
    print(text, "%-20s %-40s %-10s %s\n", "CLIENT", "ADDRESS", "SERVICE", "REMAINING");
    for (const Json& grant : answer.at("grants")) {
        const std::string client = grant.value("client", "");
        const std::string service = grant.value("protocol", "") + "/" + std::to_string(number(grant, "port"));
        print(text, "%-20s %-40s %-10s %llds\n", client.empty() ? "(earlier run)" : client.c_str(),
              grant.value("address", "").c_str(), service.c_str(), number(grant, "remaining_s"));
    }
    return text;
}

}  // namespace oneknock

#include "client/explain/ports_in_text.hpp"

#include <algorithm>
#include <charconv>

namespace oneknock {
namespace {

using Ports = std::vector<std::uint16_t>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void add_number(Ports& ports, std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error == std::errc{} && end == digits.data() + digits.size() && port != 0) ports.push_back(port);
}

// As long as there are digits and what lies between the numbers of a list.
void add_list(Ports& ports, std::string_view text) {
    text = text.substr(0, text.find_first_not_of("0123456789, "));
    while (!text.empty()) {
        const std::size_t length = std::min(text.size(), text.find_first_not_of("0123456789"));
        add_number(ports, text.substr(0, length));
        text.remove_prefix(std::min(text.size(), length + 1));
    }
}

Ports behind(std::string_view marker, std::string_view text) {
    Ports ports;
    for (std::size_t at = text.find(marker); at != std::string_view::npos; at = text.find(marker, at + 1))
        add_list(ports, text.substr(at + marker.size()));
    return ports;
}

// "10:15:00.123456 IP 192.0.2.2.56208 > 192.0.2.1.33745: UDP, length 0"
Ports of_tcpdump(std::string_view text) {
    Ports ports;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const std::size_t arrow = line.find(" > ");
        if (arrow == std::string_view::npos) continue;
        std::string_view destination = line.substr(arrow + 3);
        destination = destination.substr(0, destination.find(": "));
        const std::size_t dot = destination.rfind('.');
        if (dot != std::string_view::npos) add_number(ports, destination.substr(dot + 1));
    }
    return ports;
}

Ports all_numbers(std::string_view text) {
    Ports ports;
    for (std::size_t i = 0; i < text.size();) {
        std::size_t end = i;
        while (end < text.size() && is_digit(text[end])) ++end;
        if (end > i) add_number(ports, text.substr(i, end - i));
        i = std::max(end, i + 1);
    }
    return ports;
}

}  // namespace

std::vector<std::uint16_t> ports_in(std::string_view text) {
    for (const std::string_view marker : {" ports: ", "\"ports\":["})
        if (auto ports = behind(marker, text); !ports.empty()) return ports;
    if (text.find(" > ") != std::string_view::npos) return of_tcpdump(text);
    return all_numbers(text);
}

}  // namespace oneknock

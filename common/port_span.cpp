#include "common/port_span.hpp"

#include <bitset>
#include <charconv>
#include <optional>

#include "common/protocol.hpp"

namespace oneknock {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

std::optional<PortSpan::Range> parse_range(std::string_view text) {
    const auto dash = text.find('-');
    const auto low = parse_port(text.substr(0, dash));
    const auto high = dash == std::string_view::npos ? low : parse_port(text.substr(dash + 1));
    if (!low || !high || *low > *high) return std::nullopt;
    return PortSpan::Range{*low, *high};
}

// A bit for each port.
using Ports = std::bitset<65536>;

void mark(Ports& ports, const PortSpan::Range& range) {
    for (std::uint32_t port = range.low; port <= range.high; ++port) ports.set(port);
}

std::vector<PortSpan::Range> ranges_of(const Ports& ports) {
    std::vector<PortSpan::Range> ranges;
    for (std::uint32_t port = 1; port < 65536; ++port) {
        if (!ports[port]) continue;
        if (ports[port - 1]) ranges.back().high = static_cast<std::uint16_t>(port);
        else ranges.push_back({static_cast<std::uint16_t>(port), static_cast<std::uint16_t>(port)});
    }
    return ranges;
}

}  // namespace

PortSpan::PortSpan() : PortSpan(*parse("1024-65535")) {}

Result<PortSpan> PortSpan::parse(std::string_view text) {
    Ports given, excluded;
    for (std::string_view rest = text;;) {
        const auto comma = rest.find(',');
        const auto part = rest.substr(0, comma);
        const bool excludes = part.starts_with('!');
        const auto range = parse_range(part.substr(excludes ? 1 : 0));
        if (!range)
            return fail(Exit::data, "\"" + std::string(part) + "\" is not a range of ports; write ports in 1..65535 " +
                                        "like \"1024-65535,!8000-8999\", low before high, without spaces");
        mark(excludes ? excluded : given, *range);
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    given &= ~excluded;
    if (given.count() < smallest_span)
        return fail(Exit::data, "the span \"" + std::string(text) + "\" has " + std::to_string(given.count()) +
                                    " ports; a knock needs at least " + std::to_string(smallest_span) +
                                    " to choose from (the default is 1024-65535)");
    PortSpan span{std::string(text), ranges_of(given)};
    if (span.ranges().size() > most_ranges)
        return fail(Exit::data, "the span falls into more than " + std::to_string(most_ranges) + " pieces; exclude fewer ranges");
    return span;
}

std::vector<std::uint16_t> PortSpan::ports() const {
    std::vector<std::uint16_t> ports;
    ports.reserve(65536);
    for (const auto& [low, high] : ranges_)
        for (std::uint32_t port = low; port <= high; ++port) ports.push_back(static_cast<std::uint16_t>(port));
    return ports;
}

}  // namespace oneknock

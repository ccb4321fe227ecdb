#include "common/port_span.hpp"

#include <charconv>
#include <optional>

#include "common/protocol.hpp"

namespace oneknock {
namespace {

struct Range {
    bool excluded;
    std::uint16_t low;
    std::uint16_t high;
};

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

std::optional<Range> parse_range(std::string_view text) {
    const bool excluded = text.starts_with('!');
    if (excluded) text.remove_prefix(1);
    const auto dash = text.find('-');
    const auto low = parse_port(text.substr(0, dash));
    const auto high = dash == std::string_view::npos ? low : parse_port(text.substr(dash + 1));
    if (!low || !high || *low > *high) return std::nullopt;
    return Range{excluded, *low, *high};
}

}  // namespace

PortSpan::PortSpan() : PortSpan(*parse("1024-65535")) {}

Result<PortSpan> PortSpan::parse(std::string_view text) {
    std::vector<bool> given(65536), excluded(65536);
    for (std::string_view rest = text;;) {
        const auto comma = rest.find(',');
        const auto part = rest.substr(0, comma);
        const auto range = parse_range(part);
        if (!range)
            return fail(Exit::data, "\"" + std::string(part) + "\" is not a range of ports; write ports in 1..65535 " +
                                        "like \"1024-65535,!8000-8999\", low before high, without spaces");
        auto& marks = range->excluded ? excluded : given;
        for (std::uint32_t port = range->low; port <= range->high; ++port) marks[port] = true;
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    std::vector<std::uint16_t> ports;
    for (std::uint32_t port = 1; port < 65536; ++port)
        if (given[port] && !excluded[port]) ports.push_back(static_cast<std::uint16_t>(port));
    if (ports.size() < smallest_span)
        return fail(Exit::data, "the span \"" + std::string(text) + "\" has " + std::to_string(ports.size()) +
                                    " ports; a knock needs at least " + std::to_string(smallest_span) +
                                    " to choose from (the default is 1024-65535)");
    PortSpan span{std::string(text), std::move(ports)};
    if (span.ranges().size() > most_ranges)
        return fail(Exit::data, "the span falls into more than " + std::to_string(most_ranges) + " pieces; exclude fewer ranges");
    return span;
}

std::vector<PortSpan::Range> PortSpan::ranges() const {
    std::vector<Range> ranges;
    for (const std::uint16_t port : ports_) {
        if (!ranges.empty() && ranges.back().high + 1 == port) ranges.back().high = port;
        else ranges.push_back({port, port});
    }
    return ranges;
}

}  // namespace oneknock

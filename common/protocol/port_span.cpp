#include "common/protocol/port_span.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "common/protocol/constants.hpp"
#include "common/text.hpp"

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

using Ranges = std::vector<PortSpan::Range>;

// Ascending, and so that none touches the next.
Ranges merged(Ranges ranges) {
    std::ranges::sort(ranges, {}, &PortSpan::Range::low);
    Ranges result;
    for (const auto& range : ranges) {
        if (!result.empty() && range.low <= result.back().high + 1)
            result.back().high = std::max(result.back().high, range.high);
        else result.push_back(range);
    }
    return result;
}

Ranges without(const Ranges& given, const Ranges& excluded) {
    Ranges result;
    for (const auto& [low, high] : given) {
        std::uint32_t from = low;
        for (const auto& hole : excluded) {
            if (hole.high < from || hole.low > high) continue;
            if (hole.low > from)
                result.push_back({static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(hole.low - 1)});
            from = hole.high + 1U;
        }
        if (from <= high) result.push_back({static_cast<std::uint16_t>(from), high});
    }
    return result;
}

std::size_t count_of(const Ranges& ranges) {
    std::size_t count = 0;
    for (const auto& [low, high] : ranges) count += high - low + 1U;
    return count;
}

}  // namespace

PortSpan::PortSpan() : PortSpan("1024-65535", {{1024, 65535}}) {}

Result<PortSpan> PortSpan::parse(std::string_view text) {
    Ranges given, excluded;
    for (std::string_view rest = text;;) {
        const auto comma = rest.find(',');
        const auto part = rest.substr(0, comma);
        const bool excludes = part.starts_with('!');
        const auto range = parse_range(part.substr(excludes ? 1 : 0));
        if (!range)
            return fail(ExitCode::data, "\"" + std::string(part) +
                                            "\" is not a range of ports; write ports in 1..65535 " +
                                            "like \"1024-65535,!8000-8999\", low before high, without spaces");
        (excludes ? excluded : given).push_back(*range);
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    auto ranges = without(merged(std::move(given)), merged(std::move(excluded)));
    if (const std::size_t count = count_of(ranges); count < smallest_span)
        return fail(ExitCode::data, "the span \"" + std::string(text) + "\" has " + std::to_string(count) +
                                        " ports; a knock needs at least " + std::to_string(smallest_span) +
                                        " to choose from (the default is 1024-65535)");
    if (ranges.size() > most_ranges)
        return fail(ExitCode::data,
                    "the span falls into more than " + std::to_string(most_ranges) + " pieces; exclude fewer ranges");
    return PortSpan{std::string(text), std::move(ranges)};
}

std::optional<PortSpan> PortSpan::from_ranges(std::vector<Range> ranges) {
    std::uint32_t first_possible = 1;
    for (const auto& [low, high] : ranges) {
        if (low < first_possible || high < low) return std::nullopt;
        first_possible = high + 2U;  // one apart, or it would be one range
    }
    if (count_of(ranges) < smallest_span || ranges.size() > most_ranges) return std::nullopt;
    const auto text_of = [](const Range& range) {
        return std::to_string(range.low) + "-" + std::to_string(range.high);
    };
    std::string text = join(ranges, text_of, ",");
    return PortSpan(std::move(text), std::move(ranges));
}

std::vector<std::uint16_t> PortSpan::ports() const {
    std::vector<std::uint16_t> ports(count_of(ranges_));
    auto at = ports.begin();
    for (const auto& [low, high] : ranges_) {
        const auto end = at + (high - low + 1);
        std::iota(at, end, low);
        at = end;
    }
    return ports;
}

}  // namespace oneknock

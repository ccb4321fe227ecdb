// The span of ports a door's knocks use (docs/protocol.md, "Codebook").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace oneknock {

class PortSpan {
public:
    // The union of the given ranges minus the union of the ranges marked '!', in whatever order they are written:
    // "1024-65535", "1024-65535,!8000-8999". No spaces; low <= high; 1..65535; at least 16384 ports remain.
    // Errors (ExitCode::data) say what is wrong without naming a file.
    [[nodiscard]] static Result<PortSpan> parse(std::string_view text);

    // Of the ranges() of another one. Nothing if they cannot be that: not ascending, not apart, too few ports or too
    // many ranges.
    struct Range {
        std::uint16_t low;
        std::uint16_t high;
    };
    [[nodiscard]] static std::optional<PortSpan> from_ranges(std::vector<Range> ranges);

    PortSpan();  // the widest usual one, "1024-65535"

    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] std::vector<std::uint16_t> ports() const;  // ascending, distinct

    // The same ports as ascending ranges that do not touch.
    static constexpr std::size_t most_ranges = 100;  // parse refuses spans in more pieces
    [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }

private:
    PortSpan(std::string text, std::vector<Range> ranges) : text_(std::move(text)), ranges_(std::move(ranges)) {}

    std::string text_;
    std::vector<Range> ranges_;
};

}  // namespace oneknock

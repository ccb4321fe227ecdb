#include "server/ctl/screen.hpp"

#include <algorithm>
#include <vector>

#include "common/text.hpp"

namespace oneknock {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

// As many characters as there are columns; none is cut in two.
std::string_view beginning(std::string_view line, std::size_t columns) {
    std::size_t bytes = 0;
    for (std::size_t column = 0; column < columns && bytes < line.size(); ++column)
        bytes += std::max<std::size_t>(utf8_length(line.substr(bytes)), 1);
    return line.substr(0, bytes);
}

}  // namespace

std::string drawn_over(std::string_view text, ScreenSize size) {
    std::vector<std::string_view> lines = lines_of(text);
    const std::size_t room = size.rows > 1 ? size.rows - 1 : 1;  // below it the cursor stays
    if (size.rows > 0 && lines.size() > room) {
        lines.resize(room);
        lines.back() = "...";
    }
    std::string drawn = "\033[H";
    for (const std::string_view line : lines) {
        drawn += size.columns > 0 ? beginning(line, size.columns) : line;
        drawn += "\033[K\r\n";
    }
    return drawn + "\033[J";
}

}  // namespace oneknock

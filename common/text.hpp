// Lists and tables for people.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace oneknock {

// "ssh, web": what `text` makes of each item, separated.
template <class Range, class Text = std::identity>
[[nodiscard]] std::string join(const Range& items, Text text = {}, std::string_view separator = ", ") {
    std::string all;
    bool first = true;
    for (const auto& item : items) {
        if (!first) all += separator;
        first = false;
        all += std::invoke(text, item);
    }
    return all;
}

// Rows of equally many cells, the first being the headings: each column as wide as its widest cell, two spaces between
// columns, a line feed at the end of every row.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace oneknock

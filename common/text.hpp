// Text for people: lists, tables, and names that others chose.
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

// "1 client", "2 clients".
[[nodiscard]] std::string counted(std::size_t count, std::string_view noun);

// Rows of equally many cells, the first being the headings: each column as wide as its widest cell, two spaces between
// columns, a line feed at the end of every row.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

// The length of the character in UTF-8 that the text begins with; 0 if it does not begin with a whole and valid one.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

// The text as it may be shown on a terminal and in a log: what is a control character or not UTF-8 becomes \xHH, byte
// by byte, so that no file's name can move the cursor or forge a line.
[[nodiscard]] std::string printable(std::string_view text);

// The text as one word of a command that somebody may paste into a shell, quoted where it has to be.
[[nodiscard]] std::string shell_word(std::string_view text);

}  // namespace oneknock

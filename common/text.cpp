#include "common/text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace oneknock {
namespace {

// What a sequence may begin with: its length and the range of its second byte, which excludes what has a shorter form,
// surrogates, and what is beyond U+10FFFF (RFC 3629, section 4).
struct Lead {
    std::uint8_t first, last;
    std::size_t length;
    std::uint8_t second_low, second_high;
};
constexpr Lead leads[] = {{0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
                          {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
                          {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f}};

bool is_between(char byte, std::uint8_t low, std::uint8_t high) {
    const auto value = static_cast<std::uint8_t>(byte);
    return value >= low && value <= high;
}

// ASCII's, and those of ISO 8859 (U+0080 to U+009F), which some terminals obey.
bool is_control(std::string_view character) {
    if (character.size() == 1) return is_between(character[0], 0x00, 0x1f) || character[0] == 0x7f;
    return character[0] == '\xc2' && is_between(character[1], 0x80, 0x9f);
}

std::string replace_all(std::string_view text, char old, std::string_view by) {
    std::string replaced;
    for (const char c : text)
        if (c == old) replaced += by;
        else replaced += c;
    return replaced;
}

}  // namespace

std::string counted(std::size_t count, std::string_view noun) {
    return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.empty() ? 0 : rows.front().size());
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (const auto& row : rows) {
        for (std::size_t i = 0; i + 1 < row.size(); ++i)
            text += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
        text += row.back() + "\n";
    }
    return text;
}

std::size_t utf8_length(std::string_view text) {
    if (text.empty()) return 0;
    const auto lead = std::ranges::find_if(leads, [&](const Lead& l) { return is_between(text[0], l.first, l.last); });
    if (lead == std::end(leads) || text.size() < lead->length) return 0;
    if (lead->length > 1 && !is_between(text[1], lead->second_low, lead->second_high)) return 0;
    for (std::size_t i = 2; i < lead->length; ++i)
        if (!is_between(text[i], 0x80, 0xbf)) return 0;
    return lead->length;
}

std::string printable(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const auto character = text.substr(0, std::max<std::size_t>(length, 1));
        text.remove_prefix(character.size());
        if (length > 0 && !is_control(character)) {
            shown += character;
            continue;
        }
        for (const char byte : character) {
            char escape[sizeof "\\xff"];
            std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<std::uint8_t>(byte));
            shown += escape;
        }
    }
    return shown;
}

std::string shell_word(std::string_view text) {
    static constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./_-+@%:,";
    const std::string start(text.starts_with('-') ? "./" : "");  // a file, not an option
    if (!text.empty() && text.find_first_not_of(plain) == text.npos) return start + std::string(text);
    if (printable(text) == text) return start + "'" + replace_all(text, '\'', R"('\'')") + "'";
    std::string escaped;
    for (const char c : text) escaped += c == '\\' || c == '\'' ? std::string{'\\', c} : std::string{c};
    return start + "$'" + printable(escaped) + "'";
}

}  // namespace oneknock

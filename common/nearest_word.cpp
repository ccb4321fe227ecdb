#include "common/nearest_word.hpp"

#include <algorithm>

namespace oneknock {
namespace {

constexpr std::size_t longest_compared = 128;  // the work grows with the square of it

std::string plain(std::string_view word) {
    word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
    std::string text(word.substr(0, longest_compared));
    for (char& letter : text)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    return text;
}

// Edits of one letter and swaps of neighbours that make one of the other (optimal string alignment). Three rows of the
// table of distances between beginnings of both are enough.
std::size_t distance(const std::string& one, const std::string& other) {
    std::vector<std::size_t> before_last(other.size() + 1), last(other.size() + 1), row(other.size() + 1);
    for (std::size_t j = 0; j <= other.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= one.size(); ++i) {
        before_last.swap(last);
        last.swap(row);
        row[0] = i;
        for (std::size_t j = 1; j <= other.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (one[i - 1] == other[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
            const bool swapped = i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
            if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
    }
    return row[other.size()];
}

// Two letters are too few for a beginning, and so is nothing.
bool begins(const std::string& known, const std::string& word) { return word.size() >= 3 && known.starts_with(word); }

}  // namespace

std::string nearest_word(std::string_view word, const std::vector<std::string>& known) {
    const std::string meant = plain(word);
    std::string nearest;
    std::size_t least = (meant.size() + 2) / 3 + 1;
    bool begins_alike = false;
    for (const std::string& candidate : known) {
        const std::string other = plain(candidate);
        const std::size_t far = begins(other, meant) ? 0 : distance(meant, other);
        // A word of which nothing is left is no correction of it.
        if (far >= std::max(meant.size(), other.size())) continue;
        const bool alike = !meant.empty() && other.starts_with(meant[0]);
        if (far > least || (far == least && (nearest.empty() || begins_alike || !alike))) continue;
        least = far;
        begins_alike = alike;
        nearest = candidate;
    }
    return nearest;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
    const std::string nearest = nearest_word(word, known);
    return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

}  // namespace oneknock

// What somebody who wrote a word that does not exist has probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oneknock {

// The word of `known` that `word` is the beginning of, or that differs from it least, in letters that are missing, too
// many, wrong or swapped; without regard to case and to dashes in front. Of equally near ones that with the same first
// letter, else the first. Empty: none is so near that it can be meant, that is, more than a third of the letters
// differ.
[[nodiscard]] std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

// "; did you mean laptop?", or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace oneknock

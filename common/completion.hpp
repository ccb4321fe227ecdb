// What may come next on a command line, from the table of its options (CLI11 behind it): what a shell offers.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace oneknock {

struct Completion {
    std::string word;
    std::string text;  // what it is; may be empty
};

// What stands before the word that is to be completed: the words in places like DOOR, in order, and options with their
// values, under the names that the help shows first.
struct TypedWords {
    std::vector<std::string> places;
    std::map<std::string, std::string> options;
};

// What there is for a place, or a value, that the help calls "DOOR", say.
using ValuesOf = std::function<std::vector<std::string>(const std::string& place, const TypedWords& before)>;
[[nodiscard]] inline std::vector<std::string> no_values(const std::string&, const TypedWords&) { return {}; }

// The words that the last one of `words` (may be empty) is the beginning of. None: a file's name, or nothing at all.
[[nodiscard]] std::vector<Completion> completions(const CLI::App& app, std::vector<std::string> words,
                                                  const ValuesOf& values_of);

// The first word of a command line that asks for them; the words that were typed follow.
inline constexpr const char* completion_word = "--complete";

// A line each: the word, and behind a tab what it is.
[[nodiscard]] std::string completion_text(const std::vector<Completion>& completions);

}  // namespace oneknock

#include "client/arguments.hpp"

#include <algorithm>

#include "client/options.hpp"

namespace oneknock {

Arguments arrange(std::vector<std::string> words, const std::vector<std::string_view>& subcommands) {
    Arguments result;
    auto end = std::ranges::find(words, "--");
    const auto is_subcommand = [&](const std::string& word) { return std::ranges::count(subcommands, word) != 0; };
    const auto name = std::find_if(words.begin(), end, is_subcommand);
    if (name != end) std::rotate(words.begin(), name, name + 1);

    const std::string value = "--wait=" + duration_text(default_wait);
    std::replace(words.begin(), end, std::string("--wait"), value);

    if (end != words.end() && words.front() == "run") {
        result.command.assign(end + 1, words.end());
        words.erase(end, words.end());
    }
    result.words = std::move(words);
    return result;
}

}  // namespace oneknock

// The words of the command line put into the order a parser expects, so that options and words in any order mean the
// same: `oneknock --json list`, `oneknock open --wait home ssh`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oneknock {

struct Arguments {
    std::vector<std::string> words;    // the subcommand first, if there is one
    std::vector<std::string> command;  // of `run`: everything behind "--"
};

// - The first word that is a subcommand's name moves to the front.
// - `--wait` alone becomes `--wait=10s`: it takes its value only with '=', never the next word.
// - `run`: what stands behind the first "--" is the command and left as it is.
[[nodiscard]] Arguments arrange(std::vector<std::string> words, const std::vector<std::string_view>& subcommands);

}  // namespace oneknock

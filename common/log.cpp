#include "common/log.hpp"

#include <cstdlib>
#include <string>

#include <unistd.h>

namespace oneknock::log {
namespace {

// One write, so that lines of several processes do not mix; a full or closed pipe loses the line, not the daemon.
void print(char priority, std::string_view label, std::string_view line) {
    std::string text;
    if (std::getenv("JOURNAL_STREAM") != nullptr) text.append({'<', priority, '>'});
    text.append(label).append(line).append("\n");
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

void error(std::string_view line) { print('3', "error: ", line); }
void warning(std::string_view line) { print('4', "warning: ", line); }
void info(std::string_view line) { print('6', "", line); }

}  // namespace oneknock::log

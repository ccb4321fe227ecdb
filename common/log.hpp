// Lines on standard error: plain on a terminal, with the journal's priority prefix (sd-daemon(3)) under systemd.
// Only numbers and names from our own configuration are ever passed in.
#pragma once

#include <string_view>

namespace oneknock::log {

void error(std::string_view line);
void warning(std::string_view line);
void info(std::string_view line);

}  // namespace oneknock::log

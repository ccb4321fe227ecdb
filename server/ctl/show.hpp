// The daemon's answers for people: tables on a terminal, and the Prometheus text format.
#pragma once

#include <string>

namespace oneknock {

[[nodiscard]] std::string status_table(const std::string& json);
[[nodiscard]] std::string status_prometheus(const std::string& json);
[[nodiscard]] std::string grants_table(const std::string& json);

// The sentence of an answer that says no; empty if it says yes.
[[nodiscard]] std::string refusal_in(const std::string& json);

}  // namespace oneknock

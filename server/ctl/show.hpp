// The daemon's answers for people: tables on a terminal, and the Prometheus text format. An answer of another shape
// than this version's is a std::exception.
#pragma once

#include <string>

namespace oneknock {

// What is wrong with key files after a reload, as a sentence; empty if nothing is.
[[nodiscard]] std::string wrong_files_in(const std::string& json);
[[nodiscard]] std::string status_table(const std::string& json);
[[nodiscard]] std::string status_prometheus(const std::string& json);
[[nodiscard]] std::string grants_table(const std::string& json);

inline constexpr const char* unreadable_answer =
    "the daemon's answer cannot be read; are oneknockctl and oneknockd of one version?";

// The sentence of an answer that says no; empty if it says yes.
[[nodiscard]] std::string refusal_in(const std::string& json);

}  // namespace oneknock

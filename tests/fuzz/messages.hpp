// What holds of every complaint about a file.
#pragma once

#include "common/result.hpp"
#include "common/text.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace oneknock::fuzz {

// One line that a terminal may show, about this file.
inline void check_complaint(const Error& error, std::string_view file) {
    HOLDS(error.code == ExitCode::data || error.code == ExitCode::config);
    HOLDS(error.message.starts_with(file));
    HOLDS(printable(error.message) == error.message);
}

}  // namespace oneknock::fuzz

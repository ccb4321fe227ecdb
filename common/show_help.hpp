// What the command line is asked for (--help, --version), of the programs that read theirs with CLI11.
#pragma once

#include <sstream>

#include <CLI/CLI.hpp>

#include "common/fd.hpp"

namespace oneknock {

// Written like all output, so that a full disk or a closed pipe does not pass for success.
[[nodiscard]] inline Result<void> show_help(const CLI::App& app, const CLI::Success& asked) {
    std::ostringstream text;
    app.exit(asked, text, text);
    return write_standard_output(as_bytes(text.str()));
}

}  // namespace oneknock

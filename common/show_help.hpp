// What the command line is asked for (--help, --version), in one form for all programs that read theirs with CLI11.
#pragma once

#include <memory>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>

#include "common/fd.hpp"

namespace oneknock {

// Options with what they take, and neither what they exclude nor how it is checked: the descriptions say it.
class HelpFormatter : public CLI::Formatter {
public:
    [[nodiscard]] std::string make_option_opts(const CLI::Option* option) const override {
        const std::string type = option->get_type_name();
        const std::string value = type.substr(0, type.find(':'));  // what follows is of its checks
        const std::string otherwise = option->get_default_str();
        return (value.empty() ? "" : " " + value) + (otherwise.empty() ? "" : " (default: " + otherwise + ")");
    }
};

// `examples`: lines for the end of the help, each indented by two spaces.
inline void set_help_form(CLI::App& app, const std::string& version, const std::string& examples) {
    app.formatter(std::make_shared<HelpFormatter>());
    app.set_help_flag("-h,--help", "Show this help and exit");
    app.set_version_flag("--version", version, "Show the version and exit");
    app.footer("Examples:\n" + examples);
}

// Written like all output, so that a full disk or a closed pipe does not pass for success.
[[nodiscard]] inline Result<void> show_help(const CLI::App& app, const CLI::Success& asked) {
    std::ostringstream text;
    app.exit(asked, text, text);
    return write_standard_output(as_bytes(text.str()));
}

}  // namespace oneknock

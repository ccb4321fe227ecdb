// What the parser fills in, and the options of the subcommands that deal with imported doors (CLI11 behind it).
#pragma once

#include <CLI/CLI.hpp>

#include "client/options/options.hpp"
#include "keys/page.hpp"

namespace oneknock {

// One subcommand at a time.
struct Words {
    KnockWords knock;
    bool pass_descriptor = false;
    bool no_probe = false;
    bool no_knock = false;
    std::string file;
    std::string page_template = installed_page();
    std::optional<std::string> as;
    std::vector<std::string> assignments;
    std::string host;
    std::string folder = "/etc/oneknock";
    bool no_sudo = false;
    std::optional<std::string> locked;
    std::optional<std::string> words;
    bool yes = false;
    bool passphrase = false;
    bool remove = false;
    bool install = false;
    bool json = false;
};

// `value` is what the help calls it.
template <class T>
CLI::Option* add(CLI::App& command, const char* name, T& to, const char* value, const char* text) {
    return command.add_option(name, to, text)->type_name(value);
}

void add_door(CLI::App& command, KnockWords& words);  // an imported one, or a file
void add_key_fd(CLI::App& command, KnockWords& words);

void add_explain(CLI::App& command, Words& words);
void add_enrol(CLI::App& command, Words& words);
void add_import(CLI::App& command, Words& words);
void add_list(CLI::App& command, Words& words);
void add_set(CLI::App& command, Words& words);
void add_passphrase(CLI::App& command, Words& words);
void add_unlock(CLI::App& command, Words& words);
void add_lock(CLI::App& command, Words& words);
void add_page(CLI::App& command, Words& words);
void add_ssh_config(CLI::App& command, Words& words);
void add_remove(CLI::App& command, Words& words);

}  // namespace oneknock

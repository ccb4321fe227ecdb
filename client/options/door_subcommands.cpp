#include "client/options/door_subcommands.hpp"

namespace oneknock {
namespace {

void add_imported(CLI::App& command, KnockWords& words) {
    add(command, "DOOR", words.door, "", "The name of an imported door")->required();
}

}  // namespace

void add_door(CLI::App& command, KnockWords& words) {
    add(command, "DOOR", words.door, "",
        "The name of an imported door, or the path of a key file (with a /, or ending in .json)")
        ->required();
}

void add_key_fd(CLI::App& command, KnockWords& words) {
    add(command, "--key-fd", words.key_fd, "N",
        "Read the key's passphrase from this descriptor instead of the terminal");
}

void add_explain(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    add(command, "FILE", words.file, "",
        "What a dry run printed, the lines of tcpdump -nn, or a list of ports; default: standard input");
    command.add_flag("--json", words.json, "Print JSON");
    add_key_fd(command, words.knock);
}

void add_enrol(CLI::App& command, Words& words) {
    add(command, "--for", words.knock.duration, "TIME",
        "How long a key can be sealed for it and imported, such as 1d, at most 30d; default: 7d");
}

void add_import(CLI::App& command, Words& words) {
    add(command, "FILE", words.file, "", "The key file; - is standard input")->required();
    add(command, "--as", words.as, "NAME", "Call the door NAME here, instead of what its administrator calls it");
    command.add_flag("--passphrase", words.passphrase, "Encrypt the key with a passphrase");
    auto* const given = add(command, "--words", words.words, "WORDS",
                            "Of a sealed key: take it if these are its words, and ask nobody");
    command.add_flag("--yes", words.yes, "Of a sealed key: take it whatever its words are")->excludes(given);
    add_key_fd(command, words.knock);
}

void add_list(CLI::App& command, Words& words) { command.add_flag("--json", words.json, "Print JSON"); }

void add_set(CLI::App& command, Words& words) {
    add_imported(command, words.knock);
    add(command, "NAME=VALUE", words.assignments, "",
        "An option of open and its value: for, via, knocks, pace, source, time-offset, or family=4 or 6; NAME= takes "
        "it back; none: show what is set");
}

void add_passphrase(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    command.add_flag("--remove", words.remove, "Store the key without a passphrase");
    add_key_fd(command, words.knock);
}

void add_unlock(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    add(command, "--for", words.knock.duration, "TIME", "How long, such as 8h, at most 30d; default: 1h");
    add_key_fd(command, words.knock);
}

void add_lock(CLI::App& command, Words& words) {
    add(command, "DOOR", words.locked, "",
        "An imported door, or the path of a key file; default: all that are unlocked");
}

void add_page(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    add(command, "-o,--output", words.file, "FILE", "New web page with the sealed key in it")->required();
    add(command, "--page-template", words.page_template, "FILE", "The page without a key; default: the installed one");
    add_key_fd(command, words.knock);
}

void add_ssh_config(CLI::App& command, Words& words) {
    add_imported(command, words.knock);
    add(command, "SERVICE", words.knock.service, "", "A name from the key file, or tcp/22; default: ssh");
    auto* const install =
        command.add_flag("--install", words.install, "Write it to a file that ~/.ssh/config includes from then on");
    command.add_flag("--remove", words.remove, "Undo --install")->excludes(install);
}

void add_remove(CLI::App& command, Words& words) { add_imported(command, words.knock); }

}  // namespace oneknock

// oneknockd: the daemon, always in the foreground.
#include <string>

#include <unistd.h>

#include <CLI/CLI.hpp>

#include "common/command_words.hpp"
#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"
#include "keys/config/daemon_config.hpp"
#include "server/oneshot/check_config.hpp"
#include "server/oneshot/guard.hpp"
#include "server/parent/rooms.hpp"
#include "server/parent/supervisor.hpp"

namespace {

using namespace oneknock;

struct Options {
    std::string config = default_config;
    std::string capture;
    std::optional<Seconds> trial;
    bool check = false, dry_run = false, json = false, guard = false, remove = false;
};

constexpr Seconds longest_trial{86400};

// A bare number counts seconds.
Seconds read_trial(const std::string& word) {
    const bool is_bare = !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
    const auto time = parse_seconds(is_bare ? word + "s" : word);
    if (!time || *time < Seconds{1} || *time > longest_trial)
        throw CLI::ValidationError("--try " + word, "must be a time from 1s to 24h, such as 60s or 5m");
    return *time;
}

void describe(CLI::App& app, Options& options) {
    set_help_form(app, "oneknockd " ONEKNOCK_VERSION,
                  "  oneknockd --try 60s\n"
                  "  oneknockd --config /etc/oneknock/oneknockd.json --read knock.pcap");
    app.add_option("--config", options.config, std::string("The configuration (default: ") + default_config + ")")
        ->type_name("FILE");
    auto* check = app.add_flag("--check-config", options.check, "Check configuration, keys and this host, then exit");
    auto* dry = app.add_flag("--dry-run", options.dry_run, "Listen and decide, but leave the firewall alone");
    auto* read = app.add_option("--read", options.capture,
                                "Explain a capture file (- is standard input), then exit; needs no privilege")
                     ->type_name("FILE");
    auto* json = app.add_flag("--json", options.json, "With --read or --check-config: print JSON");
    auto* trial = app.add_option_function<std::string>(
                         "--try", [&options](const std::string& word) { options.trial = read_trial(word); },
                         "Remove the guard after TIME, such as 60s, unless confirmed by: oneknockctl confirm")
                      ->type_name("TIME");
    auto* guard = app.add_flag("--guard", options.guard, "Install the guard, then exit");
    auto* remove = app.add_flag("--remove", options.remove, "Remove the guard, then exit");
    for (auto* one : {check, read, guard, remove})
        for (auto* other : {check, read, guard, remove, trial, dry})
            if (one != other) one->excludes(other);
    app.parse_complete_callback([&options, json] {
        if (json->count() > 0 && !options.check && options.capture.empty())
            throw CLI::RequiresError("--json", "--read or --check-config");
    });
}

ExitCode report(const Result<void>& result) {
    if (result) return ExitCode::ok;
    log::error(result.error().message);
    return result.error().code;
}

// A program of its own: it parses packets and keeps a record, and needs no privilege.
Result<void> run_reader(const Options& options) {
    const auto program = companion_program("oneknockd-read");
    if (!program) return tl::unexpected(program.error());
    execl(program->c_str(), "oneknockd-read", options.config.c_str(), options.capture.c_str(),
          options.json ? "json" : "text", nullptr);
    return tl::unexpected(system_error("start", *program));
}

ExitCode run(const Options& options) {
    const bool is_daemon = !options.check && options.capture.empty() && !options.guard && !options.remove;
    if (is_daemon) {
        log::name_program("");
        log::never_wait();  // nor for the reader of an error, which may be there or not
    }
    if (options.check) return report(check_config(options.config, options.json));
    const auto config = read_daemon_config(options.config);
    if (!config) return report(tl::unexpected(config.error()));
    if (!options.capture.empty()) return report(run_reader(options));
    if (options.guard) return report(set_guard_up(*config));
    if (options.remove) return report(remove_guard(*config));
    return run_daemon(*config, {options.dry_run, options.trial});
}

}  // namespace

int main(int argc, char** argv) {
    prepare_process();
    log::name_program("oneknockd");
    Options options;
    CLI::App app("Opens ports for clients that knock with a key", "oneknockd");
    describe(app, options);
    const auto text = parse_words(app, {argv + 1, argv + argc});
    if (!text) return static_cast<int>(report(tl::unexpected(text.error())));
    if (*text) return static_cast<int>(report(write_standard_output(as_bytes(**text))));
    try {
        initialise_crypto();
        return static_cast<int>(run(options));
    } catch (const LockedMemoryError& error) {
        log::error(error.what());
        return static_cast<int>(ExitCode::permission);
    }
}

// oneknockctl: asks the running daemon, and reads its audit.
#include <exception>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "common/ask_daemon.hpp"
#include "common/command_words.hpp"
#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"
#include "server/ctl/audit.hpp"
#include "server/ctl/host_clock.hpp"
#include "server/ctl/options.hpp"
#include "server/ctl/show.hpp"
#include "server/ctl/watch.hpp"

namespace {

using namespace oneknock;

std::string shown(const CtlOptions& options, std::string answer) {
    if (options.question == "status") answer = with_host_clock(answer, host_clock_is_synchronised());
    if (options.json || options.format == "json") return answer;
    if (options.question == "status")
        return options.format == "prometheus" ? status_prometheus(answer) : status_table(answer);
    if (options.question == "grants") return grants_table(answer);
    return options.question == "confirm" ? "confirmed: the guard stays\n" : "done\n";
}

// A hundred thousand clients' files take some seconds to read.
Seconds patience_for(const std::string& question) { return question.starts_with("reload") ? Seconds{60} : Seconds{5}; }

// What to print, or why not.
Result<std::string> ask_and_show(const CtlOptions& options) {
    const Seconds patience = patience_for(options.question);
    auto answer = connect_to_daemon(options.socket, patience).and_then([&](const Descriptor& daemon) {
        return ask(daemon, options.socket, options.question, patience);
    });
    if (!answer) return answer;
    try {
        std::string refusal = refusal_in(*answer);
        if (refusal.empty() && options.question.starts_with("reload")) refusal = wrong_files_in(*answer);
        if (!refusal.empty()) return fail(ExitCode::data, refusal);
        return shown(options, std::move(*answer));
    } catch (const std::exception&) {
        return fail(ExitCode::data, unreadable_answer);
    }
}

Result<void> run_audit(const CtlOptions& options) {
    try {
        return show_audit(options.audit, options.json);
    } catch (const LockedMemoryError& error) {
        return fail(ExitCode::permission, error.what());
    }
}

Result<void> show_clock() {
    const auto synchronised = host_clock_is_synchronised();
    if (!synchronised)
        return fail(ExitCode::system, "the kernel does not tell whether this host's clock is synchronised");
    if (!*synchronised) log::warning(clock_is_adrift);
    else return write_standard_output(as_bytes("this host's clock is synchronised\n"));
    return {};
}

Result<void> run(const CtlOptions& options) {
    if (options.clock) return show_clock();
    if (options.question.empty()) return run_audit(options);
    if (options.watch) return watch([&options] { return ask_and_show(options); });
    return ask_and_show(options).and_then(
        [](const std::string& text) { return write_standard_output(as_bytes(text)); });
}

int report(const Result<void>& result) {
    if (result) return static_cast<int>(ExitCode::ok);
    log::error(result.error().message);
    return static_cast<int>(result.error().code);
}

}  // namespace

int main(int argc, char** argv) {
    prepare_process();
    log::name_program("oneknockctl");
    CtlOptions options;
    CLI::App app("Controls a running oneknockd", "oneknockctl");
    describe(app, options);
    const auto text = parse_words(app, {argv + 1, argv + argc}, ctl_values);
    if (!text) return report(tl::unexpected(text.error()));
    return report(*text ? write_standard_output(as_bytes(**text)) : run(options));
}

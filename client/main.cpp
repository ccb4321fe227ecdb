// oneknock: the client. Reads the command line, runs one subcommand, and reports its failure once.
#include <sys/prctl.h>

#include "client/commands/commands.hpp"
#include "client/options/command_line.hpp"
#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"

namespace oneknock {
namespace {

struct Run {
    Result<void> operator()(const ShowText& show) const { return write_standard_output(as_bytes(show.text)); }
    Result<void> operator()(const KnockOptions& options) const { return open_or_close_command(options); }
    Result<void> operator()(const ConnectOptions& options) const { return connect_command(options); }
    Result<void> operator()(const RunOptions& options) const { return run_command(options); }
    Result<void> operator()(const ImportOptions& options) const { return import_command(options); }
    Result<void> operator()(const PassphraseOptions& options) const { return passphrase_command(options); }
    Result<void> operator()(const PageOptions& options) const { return page_command(options); }
    Result<void> operator()(const ListOptions& options) const { return list_command(options); }
};

int finish(const Result<void>& result) {
    if (result) return static_cast<int>(ExitCode::ok);
    log::error(result.error().message);
    return static_cast<int>(result.error().code);
}

int run(std::vector<std::string> words) {
    prctl(PR_SET_DUMPABLE, 0);  // no core dump may hold a secret, and no other program of this user may look
    try {
        const auto command = parse_command_line(std::move(words));
        initialise_crypto();
        return finish(command ? std::visit(Run{}, *command) : Result<void>{tl::unexpected(command.error())});
    } catch (const LockedMemoryError& error) {
        log::error(error.what());
        return static_cast<int>(ExitCode::permission);
    }
}

}  // namespace
}  // namespace oneknock

int main(int argc, char** argv) {
    oneknock::prepare_process();
    oneknock::log::name_program("oneknock");
    return oneknock::run({argv + 1, argv + argc});
}

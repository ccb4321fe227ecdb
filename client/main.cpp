// oneknock: the client. Reads the command line, runs one subcommand, and reports its failure once.
#include <sys/prctl.h>

#include "client/commands/commands.hpp"
#include "client/doctor/doctor.hpp"
#include "client/explain/explain.hpp"
#include "client/options/command_line.hpp"
#include "client/options/completion_values.hpp"
#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"

namespace oneknock {
namespace {

Result<int> done(const Result<void>& result) {
    return result.map([] { return static_cast<int>(ExitCode::ok); });
}

struct Run {
    Result<int> operator()(const ShowText& show) const { return done(write_standard_output(as_bytes(show.text))); }
    Result<int> operator()(const KnockOptions& options) const { return done(open_or_close_command(options)); }
    Result<int> operator()(const ConnectOptions& options) const { return done(connect_command(options)); }
    Result<int> operator()(const RunOptions& options) const { return run_command(options); }
    Result<int> operator()(const RotateOptions& options) const { return done(rotate_command(options)); }
    Result<int> operator()(const DoctorOptions& options) const { return doctor_command(options); }
    Result<int> operator()(const ExplainOptions& options) const { return done(explain_command(options)); }
    Result<int> operator()(const EnrolOptions& options) const { return done(enrol_command(options)); }
    Result<int> operator()(const ImportOptions& options) const { return done(import_command(options)); }
    Result<int> operator()(const PassphraseOptions& options) const { return done(passphrase_command(options)); }
    Result<int> operator()(const UnlockOptions& options) const { return done(unlock_command(options)); }
    Result<int> operator()(const LockOptions& options) const { return done(lock_command(options)); }
    Result<int> operator()(const RemoveOptions& options) const { return done(remove_command(options)); }
    Result<int> operator()(const SetOptions& options) const { return done(set_command(options)); }
    Result<int> operator()(const PageOptions& options) const { return done(page_command(options)); }
    Result<int> operator()(const SshConfigOptions& options) const { return done(ssh_config_command(options)); }
    Result<int> operator()(const ListOptions& options) const { return done(list_command(options)); }
};

int finish(const Result<int>& result) {
    if (result) return *result;
    log::error(result.error().message);
    return static_cast<int>(result.error().code);
}

int run(std::vector<std::string> words) {
    prctl(PR_SET_DUMPABLE, 0);  // no core dump may hold a secret, and no other program of this user may look
    try {
        initialise_crypto();  // also of a file's reading: what may hold a secret is read into locked memory
        const auto command = parse_command_line(std::move(words), read_defaults, client_values);
        return finish(command ? std::visit(Run{}, *command) : Result<int>{tl::unexpected(command.error())});
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

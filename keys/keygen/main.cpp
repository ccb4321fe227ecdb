// oneknock-keygen: makes doors and clients, lists and revokes them.
#include <sys/prctl.h>

#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"
#include "keys/keygen/command_line.hpp"

namespace {

using namespace oneknock;

ExitCode run_command(const keygen::Command& command) {
    const auto result = std::visit([](const auto& options) { return keygen::run(options); }, command);
    if (result) return ExitCode::ok;
    log::error(result.error().message);
    return result.error().code;
}

}  // namespace

int main(int argc, char** argv) {
    prepare_process();
    prctl(PR_SET_DUMPABLE, 0);  // no core dump may hold a secret
    try {
        initialise_crypto();
        const auto line = keygen::parse_command_line(argc, argv);
        return static_cast<int>(line.command ? run_command(*line.command) : line.exit);
    } catch (const LockedMemoryError& error) {
        log::error(error.what());
        return static_cast<int>(ExitCode::permission);
    }
}

// oneknock-keygen: makes doors and clients, lists and revokes them.
#include <csignal>

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.hpp"
#include "common/secret.hpp"
#include "keys/keygen/command_line.hpp"

namespace {

using namespace oneknock;

// Descriptors 0 to 2 must not become files of ours. Where one is closed, writing to it shall go on to fail.
void fill_standard_descriptors() {
    int fd = 0;
    do fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

ExitCode run_command(const keygen::Command& command) {
    const auto result = std::visit([](const auto& options) { return keygen::run(options); }, command);
    if (result) return ExitCode::ok;
    log::error(result.error().message);
    return result.error().code;
}

}  // namespace

int main(int argc, char** argv) {
    fill_standard_descriptors();
    prctl(PR_SET_DUMPABLE, 0);      // no core dump may hold a secret
    std::signal(SIGPIPE, SIG_IGN);  // a reader that left is an error like others
    try {
        initialise_crypto();
        const auto line = keygen::parse_command_line(argc, argv);
        return static_cast<int>(line.command ? run_command(*line.command) : line.exit);
    } catch (const LockedMemoryError& error) {
        log::error(error.what());
        return static_cast<int>(ExitCode::permission);
    }
}

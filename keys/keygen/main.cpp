// oneknock-keygen: makes doors and clients, lists and revokes them.
#include <sys/prctl.h>

#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"
#include "keys/keygen/command_line.hpp"

namespace {

using namespace oneknock;

Result<void> run(std::vector<std::string> words) {
    const auto line = keygen::parse_command_line(std::move(words));
    if (!line) return tl::unexpected(line.error());
    if (const auto* text = std::get_if<std::string>(&*line)) return write_standard_output(as_bytes(*text));
    initialise_crypto();
    return std::visit([](const auto& options) { return keygen::run(options); }, std::get<keygen::Command>(*line));
}

int report(const Error& error) {
    log::error(error.message);
    return static_cast<int>(error.code);
}

}  // namespace

int main(int argc, char** argv) {
    prepare_process();
    log::name_program("oneknock-keygen");
    prctl(PR_SET_DUMPABLE, 0);  // no core dump may hold a secret
    try {
        const auto done = run({argv + 1, argv + argc});
        return done ? static_cast<int>(ExitCode::ok) : report(done.error());
    } catch (const LockedMemoryError& error) {
        return report({ExitCode::permission, error.what()});
    }
}

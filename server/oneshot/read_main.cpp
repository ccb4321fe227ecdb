// oneknockd-read CONFIG FILE text|json: what `oneknockd --read` runs.
#include <string_view>

#include "common/log.hpp"
#include "common/secret.hpp"
#include "common/startup.hpp"
#include "server/oneshot/read_capture.hpp"

int main(int argc, char** argv) {
    using namespace oneknock;
    prepare_process();
    log::name_program("oneknockd");
    if (argc != 4) {
        log::error("oneknockd-read is started by oneknockd --read, not by hand");
        return static_cast<int>(ExitCode::usage);
    }
    initialise_crypto();
    const auto fail_with = [](const Error& error) {
        log::error(error.message);
        return static_cast<int>(error.code);
    };
    try {
        const auto config = read_daemon_config(argv[1]);
        if (!config) return fail_with(config.error());
        const auto done = read_capture(*config, argv[2], argv[3] == std::string_view("json"));
        return done ? 0 : fail_with(done.error());
    } catch (const LockedMemoryError& error) {
        return fail_with({ExitCode::permission, error.what()});
    }
}

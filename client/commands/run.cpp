#include <unistd.h>

#include "client/commands/commands.hpp"
#include "client/commands/open_and_wait.hpp"
#include "common/startup.hpp"

namespace oneknock {

Result<void> run_command(const RunOptions& options) {
    {
        const auto connection = open_and_wait(options.knock);
        if (!connection) return tl::unexpected(connection.error());
    }
    std::vector<std::string> words = options.command;
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    restore_signals();
    execvp(arguments.front(), arguments.data());
    return tl::unexpected(system_error("run", words.front(), ExitCode::unavailable));
}

}  // namespace oneknock

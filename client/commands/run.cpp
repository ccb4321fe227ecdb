#include "client/commands/child.hpp"
#include "client/commands/commands.hpp"
#include "client/commands/keep_open.hpp"
#include "client/commands/open_and_wait.hpp"

namespace oneknock {
namespace {

// The key is out of memory before the command takes this program's place.
Result<std::optional<int>> open_for(const RunOptions& options) {
    KnockOptions knock = options.knock;
    const auto prepared = prepare_knock(knock, read_clocks().wall, Patience::will_wait);
    if (!prepared) return tl::unexpected(prepared.error());
    if (prepared->service.protocol != protocol_tcp)
        return keep_open(*prepared, knock, options.command).map([](int status) { return std::optional(status); });
    if (!options.probe) return knock_unwatched(*prepared, knock).map([] { return std::optional<int>(); });
    if (!knock.wait) knock.wait = default_wait;
    return open_and_wait(*prepared, knock).map([](const Descriptor&) { return std::optional<int>(); });
}

}  // namespace

Result<int> run_command(const RunOptions& options) {
    const auto status = open_for(options);
    if (!status) return tl::unexpected(status.error());
    if (*status) return **status;
    std::vector<std::string> words = options.command;
    execute(words);
    return tl::unexpected(system_error("run", words.front(), ExitCode::unavailable));
}

}  // namespace oneknock

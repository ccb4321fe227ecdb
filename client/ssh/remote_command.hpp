// Commands at a server, by the user's own ssh.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"
#include "common/secret.hpp"

namespace oneknock {

struct SshDestination {
    std::string host;                  // as ssh takes it: USER@HOST, an alias, ssh://USER@HOST:PORT
    std::vector<std::string> options;  // what the user wants ssh to be told besides
};

inline constexpr int ssh_failed = 255;  // ssh(1), EXIT STATUS

struct RemoteAnswer {
    SecretBytes text;  // what the command wrote to its standard output
    int status = 0;    // the command's, or ssh_failed
};

// `command` is for the shell there. Standard input is empty, and standard error is ours: ssh asks and complains there.
// ExitCode::data where the answer is longer than any of ours.
[[nodiscard]] Result<RemoteAnswer> run_at(const SshDestination& destination, const std::string& command);

}  // namespace oneknock

// What setup has to know, asked for one by one, with what the machine tells of itself as proposals.
#pragma once

#include <vector>

#include "common/result.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/setup/listening.hpp"
#include "keys/keygen/setup/machine.hpp"
#include "keys/keygen/setup/terminal.hpp"

namespace oneknock::keygen {

// "ssh https vpn=udp/51820": names of what listens here, and services as init takes them.
[[nodiscard]] Result<std::map<std::string, Service>> services_answer(const std::string& answer,
                                                                     const std::map<std::string, Service>& known);

// Which of them setup proposes to close: what sshd listens at, and where the present session came in.
[[nodiscard]] std::string proposed_services(const std::vector<Listening>& listening,
                                            const std::map<std::string, Service>& names,
                                            const std::optional<SshSession>& session);

// Asks for what is not given.
[[nodiscard]] Result<Setup> ask_what_is_missing(const Terminal& terminal, Setup setup, const Person& person);

}  // namespace oneknock::keygen

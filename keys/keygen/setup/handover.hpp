// How the first client's key gets to its machine.
#pragma once

#include <string>

#include "common/result.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/setup/machine.hpp"

namespace oneknock::keygen {

// Where the key file is put: in the home of the person at the terminal, who may fetch it from there by scp; where there
// is none, in the working directory.
[[nodiscard]] std::string key_file_of(const Person& person, const std::string& client);

// The file becomes the person's, and stays private.
[[nodiscard]] Result<void> give_key_file(const Person& person, const std::string& path);

// What to type on the client.
[[nodiscard]] std::string how_to_fetch(const Person& person, const std::string& path, const std::string& host,
                                       std::uint16_t ssh_port);
[[nodiscard]] std::string how_to_log_in(const Person& person, const std::string& host, std::uint16_t ssh_port);

}  // namespace oneknock::keygen

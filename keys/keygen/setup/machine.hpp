// What this machine tells of itself, for good proposals. Nothing is sent to anybody but the name service.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/protocol/address.hpp"
#include "keys/keygen/setup/listening.hpp"

namespace oneknock::keygen {

// The session that this program was started in ($SSH_CONNECTION): at which address and port the client has reached us.
struct SshSession {
    Address server;
    std::uint16_t port = 0;
};
[[nodiscard]] std::optional<SshSession> ssh_session();

// What others reach, of TCP first, each once.
[[nodiscard]] std::vector<Listening> listening_here();

// The host's short name; "home" where that can be no door's name.
[[nodiscard]] std::string proposed_name();

// The host's full name, if the name service knows it by an address of this machine; else the address that the ssh
// session came to, else the one that packets to the Internet leave from, else any of its own. Empty if there is none.
[[nodiscard]] std::string proposed_address();

// The person behind sudo(8), otherwise this user.
struct Person {
    std::string name;
    std::string home;
    unsigned uid = 0, gid = 0;
};
[[nodiscard]] Person person();

}  // namespace oneknock::keygen

// What listens on this machine, from the tables of /proc/net. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/protocol/address.hpp"

namespace oneknock::keygen {

struct Socket {
    Service service;
    std::uint64_t inode = 0;  // 0: the kernel's own
    friend bool operator==(const Socket&, const Socket&) = default;
};

// Of a table's text (/proc/net/tcp, tcp6, udp, udp6): the sockets that wait for anybody, at an address that others
// reach. Lines that cannot be understood are left out.
[[nodiscard]] std::vector<Socket> waiting_sockets(std::string_view table, std::uint8_t protocol);

struct Listening {
    Service service;
    std::string program;  // empty: nobody knows, or it is the kernel
};

// A name for each: "ssh" for sshd, else what /etc/services says, else the program's; with the port where two would have
// one name.
[[nodiscard]] std::map<std::string, Service> named(const std::vector<Listening>& listening);

}  // namespace oneknock::keygen

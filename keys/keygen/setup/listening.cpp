#include "keys/keygen/setup/listening.hpp"

#include <charconv>
#include <cstring>
#include <optional>
#include <sstream>

#include <arpa/inet.h>
#include <netdb.h>

#include "keys/names.hpp"

namespace oneknock::keygen {
namespace {

// The states of a socket that nobody is connected to: LISTEN of TCP, CLOSE of UDP (linux/net/tcp_states.h).
constexpr std::string_view listening_tcp = "0A", unconnected_udp = "07";

template <class Number>
std::optional<Number> number(std::string_view text, int base) {
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Each four bytes are a number in this machine's order: "0100007F" is 127.0.0.1 on most.
std::optional<Address> address_of(std::string_view hex) {
    constexpr std::size_t digits = 8;
    Address address;
    if (hex.size() != digits && hex.size() != 4 * digits) return std::nullopt;
    address.family = hex.size() == digits ? Family::ipv4 : Family::ipv6;
    for (std::size_t at = 0; at < hex.size(); at += digits) {
        const auto word = number<std::uint32_t>(hex.substr(at, digits), 16);
        if (!word) return std::nullopt;
        std::memcpy(&address.bytes[at / 2], &*word, sizeof *word);
    }
    return address;
}

// "0100007F:0016"
std::optional<Service> reachable_service(std::string_view place, std::uint8_t protocol) {
    const auto colon = place.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto address = address_of(place.substr(0, colon));
    const auto port = number<std::uint16_t>(place.substr(colon + 1), 16);
    if (!address || !port || *port == 0 || address->is_loopback()) return std::nullopt;
    return Service{protocol, *port};
}

std::optional<Socket> waiting_socket(const std::string& line, std::uint8_t protocol) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, user, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> user >> timeout >> inode;
    if (state != (protocol == protocol_tcp ? listening_tcp : unconnected_udp)) return std::nullopt;
    const auto service = reachable_service(local, protocol);
    const auto its_inode = number<std::uint64_t>(inode, 10);
    if (!service || !its_inode) return std::nullopt;
    return Socket{*service, *its_inode};
}

std::string name_of(const Listening& listening) {
    if (listening.program == "sshd") return "ssh";
    const std::string protocol = protocol_name(listening.service.protocol);
    if (const servent* known = getservbyport(htons(listening.service.port), protocol.c_str());
        known != nullptr && is_valid_name(known->s_name))
        return known->s_name;
    return is_valid_name(listening.program) ? listening.program : protocol;
}

}  // namespace

std::vector<Socket> waiting_sockets(std::string_view table, std::uint8_t protocol) {
    std::vector<Socket> sockets;
    std::istringstream lines{std::string(table)};
    for (std::string line; std::getline(lines, line);)
        if (const auto socket = waiting_socket(line, protocol)) sockets.push_back(*socket);
    return sockets;
}

std::map<std::string, Service> named(const std::vector<Listening>& listening) {
    std::map<std::string, Service> names;
    for (const Listening& one : listening) {
        const std::string name = name_of(one);
        if (!names.emplace(name, one.service).second)
            names.emplace(name + "-" + std::to_string(one.service.port), one.service);
    }
    return names;
}

}  // namespace oneknock::keygen

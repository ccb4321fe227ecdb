#include "keys/keygen/setup/machine.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <unordered_map>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "keys/names.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

std::optional<Address> address_in(const sockaddr* socket) {
    if (socket != nullptr && socket->sa_family == AF_INET)
        return Address::from_bytes(
            Family::ipv4,
            {reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in*>(socket)->sin_addr),
             sizeof(in_addr)});
    if (socket != nullptr && socket->sa_family == AF_INET6)
        return Address::from_bytes(
            Family::ipv6, {reinterpret_cast<const sockaddr_in6*>(socket)->sin6_addr.s6_addr, sizeof(in6_addr)});
    return std::nullopt;
}

// "sshd", of the process that has this socket open; for those in `wanted`.
std::unordered_map<std::uint64_t, std::string> programs_of(const std::set<std::uint64_t>& wanted) {
    constexpr std::string_view socket = "socket:[";
    std::unordered_map<std::uint64_t, std::string> programs;
    std::error_code error;
    for (fs::directory_iterator process("/proc", error), end; !error && process != end; process.increment(error)) {
        std::error_code none;  // it may end while it is looked at
        for (fs::directory_iterator fd(process->path() / "fd", none), last; !none && fd != last; fd.increment(none)) {
            std::error_code gone;
            const std::string target = fs::read_symlink(fd->path(), gone).string();
            std::uint64_t inode = 0;
            if (target.starts_with(socket))
                std::from_chars(target.data() + socket.size(), target.data() + target.size(), inode);
            if (!wanted.contains(inode) || programs.contains(inode)) continue;
            std::string name = text_of((process->path() / "comm").string());
            programs[inode] = name.substr(0, name.find('\n'));
        }
    }
    return programs;
}

// A UDP socket of a program at a port that the kernel chose waits for answers, not for strangers.
bool is_chosen_by_kernel(const Socket& socket) {
    unsigned first = 32768, last = 60999;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
    return socket.service.protocol == protocol_udp && socket.inode != 0 && socket.service.port >= first &&
           socket.service.port <= last;
}

std::vector<Socket> all_waiting_sockets() {
    std::vector<Socket> all;
    for (const auto& [table, protocol] :
         {std::pair{"tcp", protocol_tcp}, {"tcp6", protocol_tcp}, {"udp", protocol_udp}, {"udp6", protocol_udp}})
        for (const Socket& socket : waiting_sockets(text_of(std::string("/proc/self/net/") + table), protocol))
            if (!is_chosen_by_kernel(socket)) all.push_back(socket);
    return all;
}

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

bool is_link_local(const Address& address) {
    return address.family == Family::ipv6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

// Those that others may reach at all.
std::vector<Address> own_addresses() {
    std::vector<Address> addresses;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return addresses;
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owned(list, freeifaddrs);
    for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next)
        if (const auto address = address_in(one->ifa_addr);
            address && !address->is_loopback() && !is_link_local(*address))
            addresses.push_back(*address);
    return addresses;
}

bool leads_here(const std::string& name) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (getaddrinfo(name.c_str(), nullptr, &hints, &list) != 0) return false;
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, freeaddrinfo);
    const auto own = own_addresses();
    for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
        const auto address = address_in(one->ai_addr);
        if (address && std::ranges::find(own, *address) != own.end()) return true;
    }
    return false;
}

// The route's source: a datagram socket that is connected sends nothing. The addresses are documentation's.
std::string address_towards(const char* somewhere, int family) {
    sockaddr_storage to{};
    to.ss_family = static_cast<sa_family_t>(family);
    void* const place = family == AF_INET ? static_cast<void*>(&reinterpret_cast<sockaddr_in*>(&to)->sin_addr)
                                          : &reinterpret_cast<sockaddr_in6*>(&to)->sin6_addr;
    inet_pton(family, somewhere, place);
    reinterpret_cast<sockaddr_in*>(&to)->sin_port = htons(9);  // at the same place in both
    const Descriptor fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    socklen_t length = sizeof to;
    if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), length) != 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr*>(&to), &length) != 0)
        return "";
    const auto address = address_in(reinterpret_cast<const sockaddr*>(&to));
    return address ? address->text() : "";
}

}  // namespace

std::optional<SshSession> ssh_session() {
    const char* const connection = std::getenv("SSH_CONNECTION");
    if (connection == nullptr) return std::nullopt;
    std::string client, client_port, server, port;
    std::istringstream(connection) >> client >> client_port >> server >> port;
    const auto address = Address::parse(server);
    const auto service = Service::parse("tcp/" + port);
    if (!address || !service) return std::nullopt;
    return SshSession{*address, service->port};
}

std::vector<Listening> listening_here() {
    std::set<std::uint64_t> inodes;
    std::map<Service, std::uint64_t> found;  // the same service of both families is one
    for (const Socket& socket : all_waiting_sockets()) {
        if (socket.inode != 0) inodes.insert(socket.inode);
        found.emplace(socket.service, socket.inode);
    }
    const auto programs = programs_of(inodes);
    std::vector<Listening> listening;
    for (const auto& [service, inode] : found) {
        const auto program = programs.find(inode);
        listening.push_back({service, program == programs.end() ? "" : program->second});
    }
    return listening;
}

std::string proposed_name() {
    const std::string name = host_name();
    const std::string first = name.substr(0, name.find('.'));
    return is_valid_name(first) && first != "localhost" ? first : "home";
}

std::string proposed_address() {
    std::string name = host_name();
    if (name.find('.') != std::string::npos && is_valid_host(name) && leads_here(name)) return name;
    if (const auto session = ssh_session()) return session->server.text();
    for (const auto& [somewhere, family] : {std::pair{"192.0.2.1", AF_INET}, {"2001:db8::1", AF_INET6}})
        if (std::string address = address_towards(somewhere, family); !address.empty()) return address;
    const auto own = own_addresses();
    return own.empty() ? "" : own.front().text();
}

Person person() {
    const char* const sudo = std::getenv("SUDO_UID");
    uid_t uid = getuid();
    if (sudo != nullptr && uid == 0) std::from_chars(sudo, sudo + std::strlen(sudo), uid);
    const passwd* known = getpwuid(uid);
    if (known == nullptr) known = getpwuid(getuid());
    if (known == nullptr) return {"root", "/root", 0, 0};
    return {known->pw_name, known->pw_dir, known->pw_uid, known->pw_gid};
}

}  // namespace oneknock::keygen

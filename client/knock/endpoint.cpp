#include "client/knock/endpoint.hpp"

#include <cerrno>
#include <cstring>
#include <memory>

#include <ifaddrs.h>
#include <netinet/in.h>

namespace oneknock {
namespace {

// connect() of a UDP socket looks up the route and sends nothing; the port only has to be there.
constexpr std::uint16_t any_port = 9;

Endpoint endpoint_of_ipv6(const sockaddr_in6& in6) {
    Endpoint endpoint{Address::any(Family::ipv6), in6.sin6_scope_id};
    std::memcpy(endpoint.address.bytes.data(), &in6.sin6_addr, sizeof in6.sin6_addr);
    if (endpoint.address.is_ipv4_mapped()) return {Address::ipv4(load_u32be(&endpoint.address.bytes[12])), 0};
    return endpoint;
}

bool is_in_network(const ifaddrs& interface, const Endpoint& local, const Endpoint& destination) {
    if (interface.ifa_addr == nullptr || interface.ifa_netmask == nullptr) return false;
    const auto own = endpoint_of(interface.ifa_addr);
    if (!own || own->address != local.address) return false;
    const auto mask = endpoint_of(interface.ifa_netmask);
    if (!mask || mask->address.family != local.address.family) return false;
    for (std::size_t i = 0; i < local.address.length(); ++i)
        if (((local.address.bytes[i] ^ destination.address.bytes[i]) & mask->address.bytes[i]) != 0) return false;
    return true;
}

}  // namespace

SocketAddress::SocketAddress(const Endpoint& endpoint, std::uint16_t port) {
    if (endpoint.address.family == Family::ipv4) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        std::memcpy(&in.sin_addr, endpoint.address.bytes.data(), sizeof in.sin_addr);
        std::memcpy(&storage, &in, length = sizeof in);
    } else {
        sockaddr_in6 in6{};
        in6.sin6_family = AF_INET6;
        in6.sin6_port = htons(port);
        in6.sin6_scope_id = endpoint.scope;
        std::memcpy(&in6.sin6_addr, endpoint.address.bytes.data(), sizeof in6.sin6_addr);
        std::memcpy(&storage, &in6, length = sizeof in6);
    }
}

std::optional<Endpoint> endpoint_of(const sockaddr* address) {
    if (address->sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, address, sizeof in);
        return Endpoint{Address::ipv4(ntohl(in.sin_addr.s_addr)), 0};
    }
    if (address->sa_family == AF_INET6) {
        sockaddr_in6 in6{};
        std::memcpy(&in6, address, sizeof in6);
        return endpoint_of_ipv6(in6);
    }
    return std::nullopt;
}

Descriptor open_socket(Family family, int type) {
    return Descriptor(socket(family == Family::ipv4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

std::uint16_t local_port(int fd) {
    SocketAddress local;
    local.length = sizeof local.storage;
    if (getsockname(fd, local.get(), &local.length) != 0) return 0;
    // The port lies at the same place in both families.
    sockaddr_in in{};
    std::memcpy(&in, &local.storage, sizeof in);
    return ntohs(in.sin_port);
}

Result<Endpoint> route_source(const Endpoint& destination) {
    const Descriptor fd = open_socket(destination.address.family, SOCK_DGRAM);
    const SocketAddress to(destination, any_port);
    SocketAddress local;
    local.length = sizeof local.storage;
    if (!fd || connect(fd.get(), to.get(), to.length) != 0 || getsockname(fd.get(), local.get(), &local.length) != 0)
        return fail(ExitCode::unavailable, "no route to " + destination.address.text() + ": " + std::strerror(errno) +
                                               "; check this machine's network and the door's address");
    const auto source = endpoint_of(local.get());
    if (!source) return fail(ExitCode::unavailable, "no source address for " + destination.address.text());
    return *source;
}

bool is_on_link(const Endpoint& local, const Endpoint& destination) {
    ifaddrs* found = nullptr;
    if (getifaddrs(&found) != 0) return false;
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(found, freeifaddrs);
    for (const ifaddrs* entry = list.get(); entry != nullptr; entry = entry->ifa_next)
        if (is_in_network(*entry, local, destination)) return true;
    return false;
}

}  // namespace oneknock

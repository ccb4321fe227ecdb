// IP addresses, networks and services as values: no sockets, no names to resolve.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.hpp"
#include "common/protocol/constants.hpp"

namespace oneknock {

// An IPv4 address uses the first 4 bytes; the others are zero, so that equality and hashing need not look at the
// family.
struct Address {
    Family family = Family::ipv4;
    Bytes<16> bytes{};

    [[nodiscard]] static Address ipv4(std::uint32_t host_order);
    [[nodiscard]] static Address any(Family family) { return Address{family, {}}; }
    [[nodiscard]] static std::optional<Address> parse(std::string_view text);  // numeric only
    [[nodiscard]] static std::optional<Address> from_bytes(Family family, ByteSpan bytes);
    [[nodiscard]] std::string text() const;

    [[nodiscard]] std::size_t length() const { return family == Family::ipv4 ? 4 : 16; }
    [[nodiscard]] ByteSpan span() const { return {bytes.data(), length()}; }

    // Of a known family, and nothing in the bytes that it does not use. What parse() and from_bytes() make always is;
    // an address that another process sent may be anything.
    [[nodiscard]] bool is_canonical() const;
    [[nodiscard]] bool is_unspecified() const;
    [[nodiscard]] bool is_loopback() const;     // 127.0.0.0/8, ::1
    [[nodiscard]] bool is_multicast() const;    // 224.0.0.0/4, ff00::/8; the IPv4 limited broadcast counts as one
    [[nodiscard]] bool is_ipv4_mapped() const;  // ::ffff:0:0/96
    // Cannot be reached from the public Internet: RFC 1918, RFC 6598 (carrier NAT), link-local, ULA.
    [[nodiscard]] bool is_private() const;

    friend bool operator==(const Address&, const Address&) = default;
    friend auto operator<=>(const Address&, const Address&) = default;
};

struct Network {
    Address base;
    std::uint8_t prefix_length = 0;  // bits

    // "192.0.2.0/24", or an address alone. Refuses bits set behind the prefix.
    [[nodiscard]] static std::optional<Network> parse(std::string_view text);
    [[nodiscard]] bool contains(const Address& address) const;
    [[nodiscard]] std::string text() const;

    friend bool operator==(const Network&, const Network&) = default;
};

// What a knock opens: a transport protocol and a port.
struct Service {
    std::uint8_t protocol = protocol_tcp;  // IANA number; 6 or 17 in every configuration
    std::uint16_t port = 0;                // 1..65535 in every configuration

    [[nodiscard]] static std::optional<Service> parse(std::string_view text);  // "tcp/22"
    [[nodiscard]] std::string text() const;

    friend auto operator<=>(const Service&, const Service&) = default;
};

// Of one door; a door with more is refused.
inline constexpr std::size_t most_services = 64;

// "tcp", "udp", else the number.
[[nodiscard]] std::string protocol_name(std::uint8_t protocol);

}  // namespace oneknock

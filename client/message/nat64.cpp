#include "client/message/nat64.hpp"

#include <algorithm>
#include <array>

namespace oneknock {
namespace {

constexpr std::array<std::uint8_t, 6> lengths{96, 64, 56, 48, 40, 32};
constexpr std::size_t reserved_byte = 8;  // RFC 6052 section 2.2: zero, and no part of the address

// The addresses of ipv4only.arpa: RFC 7050 section 2.2.
constexpr std::array known{0xc00000aaU, 0xc00000abU};

Address first_bits(const Address& address, std::uint8_t length) {
    Address base = Address::any(Family::ipv6);
    std::copy_n(address.bytes.begin(), length / 8, base.bytes.begin());
    return base;
}

}  // namespace

std::optional<Address> embedded_ipv4(const Network& prefix, const Address& address) {
    if (prefix.base.family != Family::ipv6 || std::ranges::count(lengths, prefix.prefix_length) == 0 ||
        !prefix.contains(address))
        return std::nullopt;
    Bytes<4> found{};
    std::size_t at = prefix.prefix_length / 8U;
    for (std::uint8_t& byte : found) {
        if (at == reserved_byte) ++at;
        byte = address.bytes[at++];
    }
    return Address::from_bytes(Family::ipv4, found);
}

std::optional<Address> well_known_nat64(const Address& address) {
    static constexpr Bytes<16> base{0, 0x64, 0xff, 0x9b};
    return embedded_ipv4({{Family::ipv6, base}, 96}, address);
}

std::optional<Network> nat64_prefix(const Address& answer) {
    if (answer.family != Family::ipv6) return std::nullopt;
    for (const std::uint8_t length : lengths) {
        const Network prefix{first_bits(answer, length), length};
        const auto inside = embedded_ipv4(prefix, answer);
        if (inside && std::ranges::count(known, load_u32be(inside->bytes.data())) != 0) return prefix;
    }
    return std::nullopt;
}

}  // namespace oneknock

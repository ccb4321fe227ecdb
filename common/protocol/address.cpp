#include "common/protocol/address.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <arpa/inet.h>

namespace oneknock {
namespace {

bool starts_with(const Address& address, Family family, std::initializer_list<std::uint8_t> prefix, unsigned bits) {
    if (address.family != family) return false;
    unsigned i = 0;
    for (const std::uint8_t byte : prefix) {
        const unsigned left = bits - i * 8;
        const std::uint8_t mask = left >= 8 ? std::uint8_t{0xff} : static_cast<std::uint8_t>(0xff00U >> left);
        if ((address.bytes[i] & mask) != (byte & mask)) return false;
        ++i;
    }
    return true;
}

template <class T>
std::optional<T> parse_number(std::string_view text, T low, T high) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    if (value < low || value > high) return std::nullopt;
    return value;
}

}  // namespace

Address Address::ipv4(std::uint32_t host_order) {
    Address address;
    store_u32be(address.bytes.data(), host_order);
    return address;
}

std::optional<Address> Address::parse(std::string_view text) {
    const std::string terminated(text);
    Address address;
    if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
    address.family = Family::ipv6;
    if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
    return std::nullopt;
}

std::optional<Address> Address::from_bytes(Family family, ByteSpan bytes) {
    Address address{family, {}};
    if (bytes.size() != address.length()) return std::nullopt;
    std::ranges::copy(bytes, address.bytes.begin());
    return address;
}

std::string Address::text() const {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(family == Family::ipv4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
    return text;
}

bool Address::is_canonical() const {
    if (family != Family::ipv4 && family != Family::ipv6) return false;
    return std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(length()), bytes.end(),
                       [](std::uint8_t b) { return b == 0; });
}

bool Address::is_unspecified() const {
    return std::ranges::all_of(bytes, [](std::uint8_t b) { return b == 0; });
}

bool Address::is_loopback() const {
    static constexpr Bytes<16> ipv6_loopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    return family == Family::ipv4 ? bytes[0] == 127 : bytes == ipv6_loopback;
}

bool Address::is_multicast() const {
    return starts_with(*this, Family::ipv4, {224}, 4) || starts_with(*this, Family::ipv6, {0xff}, 8) ||
           starts_with(*this, Family::ipv4, {255, 255, 255, 255}, 32);
}

bool Address::is_ipv4_mapped() const {
    return starts_with(*this, Family::ipv6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96);
}

bool Address::is_private() const {
    return starts_with(*this, Family::ipv4, {10}, 8) || starts_with(*this, Family::ipv4, {172, 16}, 12) ||
           starts_with(*this, Family::ipv4, {192, 168}, 16) || starts_with(*this, Family::ipv4, {100, 64}, 10) ||
           starts_with(*this, Family::ipv4, {169, 254}, 16) || starts_with(*this, Family::ipv6, {0xfe, 0x80}, 10) ||
           starts_with(*this, Family::ipv6, {0xfc}, 7);
}

std::optional<Network> Network::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto base = Address::parse(text.substr(0, slash));
    if (!base) return std::nullopt;
    const auto bits = static_cast<unsigned>(base->length() * 8);
    unsigned prefix = bits;
    if (slash != std::string_view::npos) {
        const auto given = parse_number<unsigned>(text.substr(slash + 1), 0, bits);
        if (!given) return std::nullopt;
        prefix = *given;
    }
    Network network{*base, static_cast<std::uint8_t>(prefix)};
    for (unsigned bit = prefix; bit < bits; ++bit)
        if ((base->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return std::nullopt;
    return network;
}

bool Network::contains(const Address& address) const {
    if (address.family != base.family) return false;
    const unsigned whole = prefix_length / 8;
    if (!std::equal(base.bytes.begin(), base.bytes.begin() + whole, address.bytes.begin())) return false;
    const unsigned rest = prefix_length % 8;
    return rest == 0 || ((base.bytes[whole] ^ address.bytes[whole]) >> (8 - rest)) == 0;
}

std::string Network::text() const { return base.text() + "/" + std::to_string(prefix_length); }

std::optional<Service> Service::parse(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto protocol = text.substr(0, slash);
    const auto port = parse_number<std::uint16_t>(text.substr(slash + 1), 1, 65535);
    if (!port || (protocol != "tcp" && protocol != "udp")) return std::nullopt;
    return Service{protocol == "tcp" ? protocol_tcp : protocol_udp, *port};
}

std::string Service::text() const { return protocol_name(protocol) + "/" + std::to_string(port); }

std::string protocol_name(std::uint8_t protocol) {
    if (protocol == protocol_tcp) return "tcp";
    if (protocol == protocol_udp) return "udp";
    return std::to_string(protocol);
}

}  // namespace oneknock

#include "server/firewall/table/element_key.hpp"

#include <algorithm>

namespace oneknock {
namespace {

constexpr std::size_t part_length = 4;  // of protocol and of port

}  // namespace

ByteString service_key(const Service& service) {
    ByteString key(2 * part_length);
    key[0] = service.protocol;
    store_u16be(&key[part_length], service.port);
    return key;
}

ByteString element_key(const GrantKey& grant) {
    ByteString key(grant.address.span().begin(), grant.address.span().end());
    const ByteString service = service_key(grant.service);
    key.insert(key.end(), service.begin(), service.end());
    return key;
}

std::optional<GrantKey> grant_of_key(Family family, ByteSpan key) {
    const std::size_t address_length = Address::any(family).length();
    if (key.size() != address_length + 2 * part_length) return std::nullopt;
    GrantKey grant;
    grant.address = *Address::from_bytes(family, key.first(address_length));
    grant.service.protocol = key[address_length];
    grant.service.port = load_u16be(&key[address_length + part_length]);
    if (!std::ranges::equal(element_key(grant), key)) return std::nullopt;  // the padding is not zero
    return grant;
}

}  // namespace oneknock

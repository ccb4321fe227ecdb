// nft's numbers of data types, which it shows elements by (TYPE_* of nft's datatype.h). A concatenation's is its parts'
// numbers, 6 bits each.
#pragma once

#include <cstdint>

namespace oneknock {

inline constexpr std::uint32_t type_ipv4 = 7, type_ipv6 = 8, type_protocol = 12, type_port = 13, type_route = 38;
inline constexpr std::uint32_t type_service = type_protocol << 6 | type_port;

}  // namespace oneknock

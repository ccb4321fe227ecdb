// The destination ports in what people have of a knock. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace oneknock {

// In their order, from
//  - what a dry run printed, as text or as JSON: the numbers behind "ports",
//  - the lines of tcpdump -nn: what stands behind the last dot of each destination,
//  - anything else: all numbers from 1 to 65535.
[[nodiscard]] std::vector<std::uint16_t> ports_in(std::string_view text);

}  // namespace oneknock

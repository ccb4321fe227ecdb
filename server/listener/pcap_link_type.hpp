// libpcap's link types (DLT_...).
#pragma once

#include <optional>
#include <string>

#include "server/listener/packet.hpp"

namespace oneknock {

// The layout of packets of this type; nothing if they cannot be read.
[[nodiscard]] std::optional<LinkLayer> link_layer_of(int link_type);

// For messages.
[[nodiscard]] std::string link_type_name(int link_type);

}  // namespace oneknock

// Sockets of AF_UNIX by their paths.
#pragma once

#include <string>

#include "common/fd.hpp"

namespace oneknock {

// A datagram socket, non-blocking, connected to the path, or with '@' in the front to the abstract name. Empty if that
// fails, with errno.
[[nodiscard]] Descriptor connect_datagrams(const std::string& path);

}  // namespace oneknock

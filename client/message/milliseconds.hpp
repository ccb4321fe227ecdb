// Short times, as the client tells them.
#pragma once

#include <cstdio>
#include <string>

#include "common/clock.hpp"

namespace oneknock {

[[nodiscard]] inline std::string milliseconds_text(Instant time) {  // "3.1"
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", std::chrono::duration<double, std::milli>(time).count());
    return text;
}

}  // namespace oneknock

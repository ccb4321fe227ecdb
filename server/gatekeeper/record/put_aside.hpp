// What is damaged is kept, under a name that says when it was found, for whoever wants to know what happened to it.
#pragma once

#include <cstdio>
#include <span>
#include <string>

#include "common/clock.hpp"

namespace oneknock {

// Renames `path`, and with it the files of that name with one of the suffixes, which need not exist. False: it could
// not be renamed; nothing was, and errno says why.
inline bool put_aside(const std::string& path, UnixTime now, std::span<const char* const> suffixes = {}) {
    const std::string aside = path + ".damaged-" + std::to_string(now.time_since_epoch().count());
    if (std::rename(path.c_str(), aside.c_str()) != 0) return false;
    for (const char* suffix : suffixes) std::rename((path + suffix).c_str(), (aside + suffix).c_str());
    return true;
}

}  // namespace oneknock

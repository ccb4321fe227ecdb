// Whom the unprivileged rooms run as: found by the parent, told to the rooms as numbers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "common/result.hpp"

namespace oneknock {

struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    bool can_change = false;  // started as root: the rooms change to it; else they stay whom they are

    [[nodiscard]] std::string text() const;                                     // "996:996", or "same"
    [[nodiscard]] static std::optional<Identity> parse(std::string_view text);  // the same
};

// As root: the system's user of this name, who must exist and not be root (ExitCode::config). Without root: whoever
// runs the program, whatever the name is.
[[nodiscard]] Result<Identity> find_identity(const std::string& user);

}  // namespace oneknock

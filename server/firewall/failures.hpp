// What the kernel's refusals mean, in sentences for the administrator.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"
#include "server/firewall/table/ruleset.hpp"

namespace oneknock {

// `what` as in "cannot WHAT".
[[nodiscard]] Error netlink_failure(int error, std::string_view what);

// A batch was refused; `part` names the change, or is empty for the batch as a whole.
[[nodiscard]] Error refused_change(int error, const TableName& table, const std::string& part);

// Set mode: the administrator's set is not there, or not as it must be.
[[nodiscard]] Error missing_set(Family family, const TableName& table, const std::string& name);
[[nodiscard]] Error unfit_set(Family family, const TableName& table, const std::string& name, std::string_view why);

}  // namespace oneknock

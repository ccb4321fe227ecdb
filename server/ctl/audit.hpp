// oneknockctl audit: reads the audit's file, without asking the daemon.
#pragma once

#include "common/result.hpp"
#include "server/ctl/options.hpp"

namespace oneknock {

// Prints the lines that are asked for. A process of root's gives root up for good (keys/audit/audit_reader.hpp).
[[nodiscard]] Result<void> show_audit(const AuditWords& words, bool as_json);

}  // namespace oneknock

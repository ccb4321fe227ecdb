// The audit for people and programs: what is asked of it, and its lines as text. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "keys/audit/audit_reader.hpp"
#include "server/ctl/options.hpp"

namespace oneknock {

using ServiceNames = std::map<std::string, Service>;  // of a door

// What --decision may be.
[[nodiscard]] std::vector<std::string> known_decisions();

// Durations are before `now`. Errors are ExitCode::usage.
[[nodiscard]] Result<AuditFilter> audit_filter(const AuditWords& words, const ServiceNames& services, UnixTime now);

// Whether the words hold the name of a service, which only the door's file can explain.
[[nodiscard]] bool needs_service_names(const AuditWords& words);

// With a line feed each.
[[nodiscard]] std::string audit_heading();
[[nodiscard]] std::string audit_text(const AuditLine& line, const ServiceNames& services);
[[nodiscard]] std::string audit_json(const AuditLine& line, const ServiceNames& services);

}  // namespace oneknock

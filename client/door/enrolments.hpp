// The halves of keys that wait for their sealed keys: ID.enrolment in the folder of imported doors, each used once.
#pragma once

#include <string>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "keys/enrolment.hpp"

namespace oneknock {

struct KeptEnrolment {
    std::string path;
    EnrolmentKey key;
};

// The path of the new file.
[[nodiscard]] Result<std::string> keep_enrolment(const std::string& folder, const EnrolmentKey& key);

// The half that opens what was sealed for `id`: ExitCode::no_input where it is not there (any more), ExitCode::data
// where it has expired. It stays.
[[nodiscard]] Result<KeptEnrolment> find_enrolment(const std::string& folder, const EnrolmentId& id, UnixTime now);

// Durably: nothing opens what was sealed for it from then on.
[[nodiscard]] Result<void> forget_enrolment(const std::string& path);

// All that have expired. Files that cannot be read or removed are left.
void forget_expired_enrolments(const std::string& folder, UnixTime now);

}  // namespace oneknock

// What is looked at, in three lists. Each function does one thing with hidden secrets and says whether its result was
// right: that memcheck has nothing to complain of says little where nothing was computed.
#pragma once

#include <span>

namespace oneknock {

struct Subject {
    const char* name;
    bool (*run)();
};

// No branch and no address may depend on a secret.
[[nodiscard]] std::span<const Subject> constant_time_subjects();
// Here they do, and docs/threat-model.md says what of it: a change for the better is to be said there.
[[nodiscard]] std::span<const Subject> dependent_subjects();
// Faults as one might make them; they show that they would be seen.
[[nodiscard]] std::span<const Subject> faulty_subjects();

}  // namespace oneknock

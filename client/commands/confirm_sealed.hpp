// Whether a key that was sealed for this machine is the one that the administrator sealed.
#pragma once

#include "client/commands/import_source.hpp"

namespace oneknock {

// By the words that were given, by --yes, or by asking. What the key is for is shown in each case. Words that differ:
// ExitCode::data; nobody to ask, or no: ExitCode::no_input.
[[nodiscard]] Result<void> confirm_sealed(const KeyFile& key, const SealedAs& sealed, const ImportOptions& options);

}  // namespace oneknock

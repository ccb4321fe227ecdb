// What several subcommands tell an administrator, beside what they have done.
#pragma once

#include <string>

#include "keys/keygen/commands/handout.hpp"
#include "keys/source_policy.hpp"

namespace oneknock::keygen {

// Unless it is "same".
void warn_of_source(const SourcePolicy& policy);

// How a key file or page gets to its client. Nothing where it went to standard output.
void tell_next_step(const Handout& handout, const std::string& key_file);

}  // namespace oneknock::keygen

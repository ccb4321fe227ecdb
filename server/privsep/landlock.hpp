// Landlock: what a process may no longer do with files, however it came by their names. Both functions need
// no_new_privs set, hold for the rest of the process's life, and take in as much as the running kernel knows (its ABI,
// from 1 on): also connections and, where not said otherwise, signals to processes outside, where it knows these.
#pragma once

#include <cstdint>

#include "common/fd.hpp"
#include "common/result.hpp"

namespace oneknock {

// The version of the running kernel's Landlock; 0 without one.
[[nodiscard]] int landlock_abi();

// The rights over files that this version of Landlock knows, as the kernel numbers them.
[[nodiscard]] std::uint64_t landlock_file_rights(int abi);

// Files in this folder (an O_PATH descriptor) may be read, written, made and removed; nothing may be done with others
// that is not done by a descriptor opened earlier. False, and nothing done, where there is no Landlock.
[[nodiscard]] Result<bool> landlock_to_folder(const Descriptor& folder, int abi = landlock_abi());

// Nothing may be written, made, removed or executed anywhere; reading stays, and signals: the kernel would not end
// children with the process either (PR_SET_PDEATHSIG). False, and nothing done, likewise.
[[nodiscard]] Result<bool> landlock_to_reading(int abi = landlock_abi());

}  // namespace oneknock

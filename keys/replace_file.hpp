// Files that change in place.
#pragma once

#include <string>

#include <sys/types.h>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace oneknock {

// Puts `content` in the place of `path`, durably and in one step: a reader sees the old file or the new one. Killed, it
// may leave a hidden file of its own beside it, whose name starts with ".oneknock-".
[[nodiscard]] Result<void> replace_file(const std::string& path, ByteSpan content, mode_t mode = 0600);

// Makes names in the folder durable.
[[nodiscard]] Result<void> sync_folder(const std::string& folder);

// "." for a name alone.
[[nodiscard]] std::string folder_of(const std::string& path);

}  // namespace oneknock

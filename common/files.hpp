// Files read and written whole. Private files are checked on the open descriptor, never by name, and written to a
// new name first, so that a reader sees either nothing or all of it, and a crash leaves nothing half-written.
#pragma once

#include <string>

#include <sys/types.h>

#include "common/bytes.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"
#include "common/secret.hpp"

namespace oneknock {

// Larger files are refused: no key or configuration file comes near it.
inline constexpr std::size_t largest_file = std::size_t{1} << 20;

// For reading, close-on-exec. A missing file is ExitCode::no_input, a forbidden one ExitCode::permission.
[[nodiscard]] Result<Descriptor> open_to_read(const std::string& path);

// The whole of a secret file: a regular file, owned by this user or root, not accessible to group or others
// (else ExitCode::permission, with the command that mends it), at most `largest_file` bytes. `name` is for messages.
[[nodiscard]] Result<SecretBytes> read_private(int fd, const std::string& name);
[[nodiscard]] Result<SecretBytes> read_private_file(const std::string& path);

// The whole of a file without secrets; "-" is not special here.
[[nodiscard]] Result<SecretBytes> read_file(const std::string& path);
[[nodiscard]] Result<SecretBytes> read_file(int fd, const std::string& name);

// Creates `path` with mode 0600 and this content, durably (file and folder synced); what fails leaves nothing. An
// existing file is refused with ExitCode::cannot_create and stays as it was. Killed, this and replace_file may leave a
// hidden file beside it, whose name starts with ".oneknock-".
[[nodiscard]] Result<void> create_private_file(const std::string& path, ByteSpan content);

// Puts `content` in the place of `path`, durably and in one step: a reader sees the old file or the new one. What fails
// leaves the old one, but for one case: the new one is there, and its folder could not be synced.
[[nodiscard]] Result<void> replace_file(const std::string& path, ByteSpan content, mode_t mode = 0600);

// Those hidden files, of any program: nobody else must be writing in the folder.
void remove_leftovers(const std::string& folder);

// "." for a name alone.
[[nodiscard]] std::string folder_of(const std::string& path);
// Makes names in the folder durable.
[[nodiscard]] Result<void> sync_folder(const std::string& folder);

}  // namespace oneknock

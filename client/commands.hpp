// The subcommands, one file each. An error is printed by main, which exits with its code.
#pragma once

#include "client/options.hpp"
#include "common/result.hpp"

namespace oneknock {

[[nodiscard]] Result<void> open_or_close_command(const KnockOptions& options);
[[nodiscard]] Result<void> connect_command(const ConnectOptions& options);
[[nodiscard]] Result<void> run_command(const RunOptions& options);  // returns only on failure
[[nodiscard]] Result<void> import_command(const ImportOptions& options);
// Its work without the printing: the path of the new file.
[[nodiscard]] Result<std::string> import_key(const std::string& file);
[[nodiscard]] Result<void> list_command(const ListOptions& options);

}  // namespace oneknock

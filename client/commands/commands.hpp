// The subcommands, one file each. An error is printed by main, which exits with its code.
#pragma once

#include "client/options/options.hpp"
#include "common/result.hpp"

namespace oneknock {

[[nodiscard]] Result<void> open_or_close_command(const KnockOptions& options);
[[nodiscard]] Result<void> connect_command(const ConnectOptions& options);
[[nodiscard]] Result<void> run_command(const RunOptions& options);  // returns only on failure
[[nodiscard]] Result<void> import_command(const ImportOptions& options);
// Its work without the printing.
struct Imported {
    std::string path;
    bool replaced = false;  // an older generation
};
[[nodiscard]] Result<Imported> import_key(const ImportOptions& options);
[[nodiscard]] Result<void> passphrase_command(const PassphraseOptions& options);
[[nodiscard]] Result<void> page_command(const PageOptions& options);
[[nodiscard]] Result<void> list_command(const ListOptions& options);

}  // namespace oneknock

// The subcommands, one file each. An error is printed by main, which exits with its code.
#pragma once

#include "client/door/door_folder.hpp"
#include "client/options/options.hpp"
#include "common/result.hpp"

namespace oneknock {

[[nodiscard]] Result<void> open_or_close_command(const KnockOptions& options);
[[nodiscard]] Result<void> connect_command(const ConnectOptions& options);
[[nodiscard]] Result<void> rotate_command(const RotateOptions& options);
// The status of the command, if it did not take this program's place.
[[nodiscard]] Result<int> run_command(const RunOptions& options);
[[nodiscard]] Result<void> enrol_command(const EnrolOptions& options);
[[nodiscard]] Result<void> import_command(const ImportOptions& options);
// Its work without the printing.
struct Imported {
    DoorFiles files;
    bool replaced = false;     // an older generation
    bool locked_here = false;  // the file that was imported has no passphrase, what is stored has one
    std::string next;          // a line that says what to do with it
    std::string used_up;       // the half that has opened a sealed key, which is gone
};
[[nodiscard]] Result<Imported> import_key(const ImportOptions& options);
[[nodiscard]] Result<void> passphrase_command(const PassphraseOptions& options);
[[nodiscard]] Result<void> unlock_command(const UnlockOptions& options);
[[nodiscard]] Result<void> lock_command(const LockOptions& options);
[[nodiscard]] Result<void> remove_command(const RemoveOptions& options);
[[nodiscard]] Result<void> set_command(const SetOptions& options);
[[nodiscard]] Result<void> page_command(const PageOptions& options);
[[nodiscard]] Result<void> ssh_config_command(const SshConfigOptions& options);
[[nodiscard]] Result<void> list_command(const ListOptions& options);

}  // namespace oneknock

// The user's ~/.ssh/config and our files beside it. Where ssh looks: in the home directory of the user database, not
// in $HOME.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace oneknock {

struct SshFiles {
    std::string folder;      // ~/.ssh
    std::string config;      // ~/.ssh/config, which may be a symbolic link
    std::string our_folder;  // ~/.ssh/oneknock.d
    std::string ours;        // ~/.ssh/oneknock.d/DOOR.conf
};
[[nodiscard]] Result<SshFiles> ssh_files(const std::string& door);

// Puts `text` into our file, and has the user's configuration include it. Each file changes in one step; the user's
// keeps its mode, and stays where a symbolic link leads. A file that is not ours is left alone, and an error.
[[nodiscard]] Result<void> install_ssh_file(const SshFiles& files, std::string_view text);

// Undoes that: with the last door goes the line, with the line a configuration that we made. No file of ours is
// ExitCode::no_input.
[[nodiscard]] Result<void> remove_ssh_file(const SshFiles& files);

}  // namespace oneknock

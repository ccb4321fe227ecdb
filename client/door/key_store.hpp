// From the word DOOR to a key, and from the word SERVICE to a service.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "keys/key_file.hpp"

namespace oneknock {

// Where imported keys lie: $XDG_CONFIG_HOME/oneknock, by default ~/.config/oneknock.
[[nodiscard]] Result<std::string> config_folder();

// The file that DOOR means: itself if it contains '/' or ends in ".json", else the imported door of that name. A file
// that happens to have the name of a door never takes its place. No such door: ExitCode::no_input.
[[nodiscard]] Result<std::string> find_door(const std::string& door);

struct OpenedDoor {
    std::string path;
    KeyFile key;
};
// Found and read; an expired key (`now` is the time the knock will carry) is ExitCode::data. For a locked key the
// passphrase is read from `key_fd`, or asked for on the terminal.
[[nodiscard]] Result<OpenedDoor> open_door(const std::string& door, UnixTime now,
                                           std::optional<int> key_fd = std::nullopt);

// The service a word names. One that the file does not list is accepted as "tcp/22" only; see is_listed.
[[nodiscard]] Result<Service> find_service(const OpenedDoor& door, const std::string& word);
[[nodiscard]] bool is_listed(const KeyFile& key, const Service& service);

}  // namespace oneknock

// The folder of imported doors, and what the word DOOR means.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace oneknock {

// Where imported keys lie: $XDG_CONFIG_HOME/oneknock, by default ~/.config/oneknock.
[[nodiscard]] Result<std::string> config_folder();

// Whether the word is meant as the path of a key file: it contains '/' or ends in ".json".
[[nodiscard]] bool is_path(std::string_view door);
// What an imported door may be called: a name (keys/names) that is not meant as a path.
[[nodiscard]] bool is_door_name(std::string_view word);

// The files of one imported door.
struct DoorFiles {
    DoorFiles(const std::string& folder, const std::string& door)
        : name(door),
          key(folder + "/" + door + ".json"),
          defaults(folder + "/" + door + ".conf"),
          pending(folder + "/" + door + ".pending") {}

    std::string name;
    std::string key;
    std::string defaults;  // what `oneknock set` keeps; mostly there is none
    std::string pending;   // the next key, until `oneknock rotate` has seen it used; mostly there is none
};

// Whether something is at this path, be it a link that leads nowhere.
[[nodiscard]] bool is_there(const std::string& path);
// Where a path leads to in the end; "" if nowhere.
[[nodiscard]] std::string real_path(const std::string& path);
// That there is no such file is no failure.
[[nodiscard]] Result<void> remove_file(const std::string& path);

// What is at NAME.json, or with another suffix, in the folder, in order; also with names that no door has. A folder
// that is not there yet holds nothing.
[[nodiscard]] std::vector<std::string> names_in(const std::string& folder, std::string_view suffix = ".json");

// Each missing part of the path, private to this user.
[[nodiscard]] Result<void> make_folders(const std::string& folder);
// Others who may write in the folder can swap one door's key for another's.
void warn_of_loose_folder(const std::string& folder);

// An imported door by its name. Not a name: ExitCode::usage. No such door: ExitCode::no_input, with the one that was
// probably meant.
[[nodiscard]] Result<DoorFiles> find_imported(const std::string& name);

// The key file that DOOR means: itself if it is a path, else that of the imported door of this name. A file that
// happens to have the name of a door never takes its place.
[[nodiscard]] Result<std::string> find_door(const std::string& door);

}  // namespace oneknock

#include "client/door/door_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include <dirent.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "common/log.hpp"
#include "common/nearest_word.hpp"
#include "common/text.hpp"
#include "keys/names.hpp"

namespace oneknock {
namespace {

constexpr std::string_view key_suffix = ".json";

// Relative paths in the variables are invalid and to be ignored (XDG Base Directory Specification).
std::string absolute_variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && value[0] == '/' ? value : "";
}

std::string home_folder() {
    if (auto home = absolute_variable("HOME"); !home.empty()) return home;
    const passwd* user = getpwuid(geteuid());
    return user != nullptr && user->pw_dir != nullptr ? user->pw_dir : "";
}

tl::unexpected<Error> not_a_name(const std::string& word) {
    return fail(ExitCode::usage, "\"" + printable(word) +
                                     "\" is neither the name of an imported door nor the path of "
                                     "a key file; " +
                                     std::string(name_rule) + ", and a path has a / or ends in .json");
}

tl::unexpected<Error> no_such_door(const DoorFiles& files, const std::string& folder) {
    const std::string meant = did_you_mean(files.name, names_in(folder));
    return fail(ExitCode::no_input, "no door " + files.name + ": there is no " + printable(files.key) +
                                        (meant.empty() ? "; import a key with: oneknock import FILE, or give the path "
                                                         "of a key file, such as ./" +
                                                             files.name
                                                       : meant + " See: oneknock list"));
}

}  // namespace

Result<std::string> config_folder() {
    if (const auto folder = absolute_variable("XDG_CONFIG_HOME"); !folder.empty()) return folder + "/oneknock";
    const auto home = home_folder();
    if (home.empty())
        return fail(ExitCode::no_input, "cannot find the home directory; set HOME, or give the path of a key file");
    return home + "/.config/oneknock";
}

bool is_path(std::string_view door) { return door.find('/') != std::string_view::npos || door.ends_with(key_suffix); }

bool is_door_name(std::string_view word) { return is_valid_name(word) && !is_path(word); }

bool is_there(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0;
}

std::string real_path(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> real(realpath(path.c_str(), nullptr), std::free);
    return real ? real.get() : "";
}

Result<void> remove_file(const std::string& path) {
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return tl::unexpected(system_error("remove", path, ExitCode::cannot_create));
}

std::vector<std::string> names_in(const std::string& folder, std::string_view suffix) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
    if (!entries) return names;
    while (const dirent* entry = readdir(entries.get())) {
        const std::string_view file = entry->d_name;
        if (file.size() > suffix.size() && file.ends_with(suffix) && file.front() != '.')
            names.emplace_back(file.substr(0, file.size() - suffix.size()));
    }
    std::ranges::sort(names);
    return names;
}

Result<void> make_folders(const std::string& folder) {
    for (std::size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
        const std::string part = folder.substr(0, slash);
        if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
            return tl::unexpected(system_error("create the folder", part, ExitCode::cannot_create));
        if (slash == std::string::npos) return {};
    }
}

void warn_of_loose_folder(const std::string& folder) {
    struct stat info {};
    if (stat(folder.c_str(), &info) == 0 && (info.st_mode & 022) != 0)
        log::warning(printable(folder) + ": others may write here; run: chmod go-w " + shell_word(folder));
}

Result<DoorFiles> find_imported(const std::string& name) {
    if (!is_door_name(name)) return not_a_name(name);
    const auto folder = config_folder();
    if (!folder) return tl::unexpected(folder.error());
    DoorFiles files(*folder, name);
    if (!is_there(files.key)) return no_such_door(files, *folder);
    return files;
}

Result<std::string> find_door(const std::string& door) {
    if (is_path(door)) return door;
    return find_imported(door).map([](const DoorFiles& files) { return files.key; });
}

}  // namespace oneknock
